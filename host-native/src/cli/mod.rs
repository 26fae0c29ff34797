//! The command line: from arguments to an exit code.
//!
//! ```text
//! args -> connect -> commands -> output            the result, on standard output
//!                       |-----> content            content, to standard output or a file
//!                       |-----> progress           bars and lines, on standard error
//!                       '-----> failure            what failed, why, what to do; the exit code
//! ```

mod args;
mod commands;
mod connect;
mod content;
mod failure;
mod output;
mod palette;
mod panic;
mod period;
mod progress;
mod results;
mod signals;
mod size;
mod usage;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use oci_fetcher_core::error::Class;

use args::{Arguments, OutputOptions};
use commands::Surroundings;
use connect::Context;
use failure::{Ended, Failure};
use palette::Palette;
use progress::Progress;
use signals::Signal;
use usage::FileError;

/// Runs the command that the process's arguments name.
pub(crate) fn main() -> ExitCode {
    let palette = Palette::of_stderr();
    panic::report(palette);
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return misused(&error),
    };
    let progress = Arc::new(Progress::new(arguments.output, palette));
    let ended = panic::catch(|| execute(&arguments, &progress));
    progress.end();
    match ended {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(ended)) => conclude(&ended, arguments.output, palette),
        // People have been told when it happened.
        None => {
            if arguments.output.json {
                let failure = Failure::plain(Class::Internal, "panic", "internal error", panic::ADVICE);
                told(output::print_json(&failure.json()));
            }
            ExitCode::from(Class::Internal.exit_code())
        }
    }
}

fn execute(arguments: &Arguments, progress: &Arc<Progress>) -> Result<(), Ended> {
    let asked = arguments.command.client_options();
    // Before signals are caught, so that they end a prompt at once.
    let password = match asked {
        Some(options) if options.registry.password_stdin => Some(connect::read_password(io::stdin().lock())?),
        Some(_) | None => None,
    };
    let with = Surroundings {
        context: Context { observer: progress.clone(), password },
        output: arguments.output,
        progress: Arc::clone(progress),
    };
    let started = panic::tame(|| {
        let signalled = signals::watch()?;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().thread_keep_alive(KEPT).build()?;
        // With one thread for what blocks, work waits for it where the system gives no more.
        drop(runtime.spawn_blocking(|| {}));
        Ok((signalled, runtime))
    });
    let (signalled, runtime) = started.map_err(|source| FileError::new("start", "the command", source))?;
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            Ok(signal) = signalled => Err(Ended::Signalled(signal)),
            ended = commands::run(&arguments.command, &with) => ended,
        }
    });
    match &ended {
        Err(Ended::Signalled(_)) => progress.leave(),
        Ok(()) | Err(Ended::Failed(_) | Ended::PipeClosed) => progress.end(),
    }
    // The command's future is gone, and its workers end: what they were writing is removed.
    runtime.shutdown_timeout(PATIENCE);
    ended
}

/// Longer than any command runs.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Removing a large tree takes seconds; longer, only a worker takes whose output nobody reads.
const PATIENCE: Duration = Duration::from_secs(60);

/// Tells how a command ended, and returns the exit code for it.
fn conclude(ended: &Ended, output: OutputOptions, palette: Palette) -> ExitCode {
    let (failure, code) = match ended {
        Ended::PipeClosed => return ExitCode::SUCCESS,
        Ended::Failed(failure) => (Failure::clone(failure), failure.exit_code()),
        Ended::Signalled(signal) => (interrupted(*signal), signal.exit_code()),
    };
    if output.json {
        told(output::print_json(&failure.json()));
    } else {
        complain(&failure.render(palette));
    }
    ExitCode::from(code)
}

fn interrupted(signal: Signal) -> Failure {
    let (code, message) = match signal {
        Signal::Interrupt => ("interrupted", "interrupted"),
        Signal::Terminate => ("terminated", "told to end"),
    };
    Failure::plain(Class::Interrupted, code, message, "run the same command again: what was fetched is kept")
}

/// Shows help, the version, or what is wrong with the arguments.
fn misused(error: &clap::Error) -> ExitCode {
    let asked_for_json =
        std::env::args_os().skip(1).take_while(|argument| argument != "--").any(|argument| argument == "--json");
    if error.use_stderr() && asked_for_json {
        let text = error.render().to_string();
        let message: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
        let message = message.join(" ");
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        let failure = Failure::plain(Class::Usage, "arguments", message, "see `oci-fetcher --help`");
        told(output::print_json(&failure.json()));
    } else {
        // Whoever closed the stream has seen enough.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Class::Usage.exit_code()))
}

/// Where even the error cannot be printed, the exit code has to do.
fn told(printed: Result<(), Ended>) {
    drop(printed);
}

fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
