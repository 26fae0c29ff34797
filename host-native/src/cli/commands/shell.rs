//! `completions` and `man`: the command line described for shells and manual pages.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::Arguments;
use crate::cli::failure::Ended;
use crate::cli::output::print;
use crate::cli::usage::UsageError;

pub(super) fn completions(shell: Shell) -> Result<(), Ended> {
    let mut command = Arguments::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(super) fn manual(of: Option<&str>) -> Result<(), Ended> {
    let mut whole = Arguments::command();
    // Names the commands in full, and gives them the options that all have.
    whole.build();
    let command = match of {
        None => whole,
        Some(name) => match whole.find_subcommand(name) {
            Some(command) => command.clone(),
            None => return Err(UsageError::NoCommand { text: name.to_owned() }.into()),
        },
    };
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.expect("writing to memory does not fail");
    print(&String::from_utf8_lossy(&page))
}
