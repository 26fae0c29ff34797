//! Runs a command under `ptrace`, and breaks one of its system calls.
//!
//! The command is started by a shell that waits for a word, so that it can be seized before it is
//! there; all its threads are stopped at each system call until the fault has been injected, and
//! run free from then on. Calls are counted over all threads, from the first `poll` on: with it
//! Rust's runtime begins, and the dynamic loader's work is done.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::calls::{Call, Fault};

/// Which system call breaks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Point {
    /// The kind of call.
    pub(crate) call: Call,
    /// Which of its kind, from 1.
    pub(crate) nth: usize,
    /// What happens.
    pub(crate) fault: Fault,
}

/// What a traced command came to.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    /// Its exit code, or 128 plus the signal's number.
    pub(crate) code: i32,
    /// Whether it had to be killed because it did not end.
    pub(crate) hung: bool,
    /// Whether it came to the point.
    pub(crate) fired: bool,
    /// How many calls of each kind it made until the point, or in all.
    pub(crate) counts: BTreeMap<Call, usize>,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
}

/// Runs a command to its end, and breaks it at the point, if there is one.
///
/// # Panics
///
/// Panics where processes cannot be traced.
#[expect(clippy::zombie_processes, reason = "the tracer waits for it, as for all its threads")]
pub(crate) fn trace(command: &Command, point: Option<Point>, patience: Duration) -> Traced {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "read -r go && exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    let shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().expect("a shell runs");
    let process = Pid::from_raw(i32::try_from(child.id()).expect("a process number"));
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(process, options).expect("this process may trace its children");
    child.stdin.take().expect("piped").write_all(b"go\n").expect("the shell reads");

    let (ended, watched) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let hung = watched.recv_timeout(patience).is_err_and(|error| error == mpsc::RecvTimeoutError::Timeout);
        if hung {
            // It may have ended in this moment.
            let _ = kill(process, Signal::SIGKILL);
        }
        hung
    });
    let mut tracer = Tracer {
        process,
        point,
        phase: Phase::Starting,
        fired: false,
        threads: HashMap::new(),
        counts: BTreeMap::new(),
        files: HashMap::new(),
    };
    let code = tracer.run();
    drop(ended);
    let hung = watch.join().expect("the watch does not panic");
    let mut stderr = Vec::new();
    child.stderr.take().expect("piped").read_to_end(&mut stderr).expect("a pipe of a process that ended");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Traced { code, hung, fired: tracer.fired, counts: tracer.counts, stderr }
}

struct Tracer {
    process: Pid,
    point: Option<Point>,
    phase: Phase,
    fired: bool,
    threads: HashMap<Pid, Within>,
    counts: BTreeMap<Call, usize>,
    /// What descriptors are, for those that are read and written.
    files: HashMap<u64, Descriptor>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The shell, or the dynamic loader.
    Starting,
    /// Calls count.
    Counting,
    /// The fault has been injected: nothing more is of interest.
    Done,
}

/// Where a thread is.
#[derive(Clone, Copy)]
enum Within {
    Program,
    Call,
    /// A call that is to end in this way.
    Broken(End),
}

#[derive(Clone, Copy)]
enum End {
    /// It was not made, and fails.
    Fails(i32),
    /// It was made for one byte; this register had the length.
    Short(u64),
    Killed,
}

/// What a descriptor leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Descriptor {
    File,
    Socket,
    Output,
    /// An event counter or the like, which does not fail.
    Internal,
}

impl Tracer {
    /// Returns the exit code.
    fn run(&mut self) -> i32 {
        // Only this thread's children: other tests have some, too.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            let status = match waitpid(Pid::from_raw(-1), Some(flags)) {
                Err(Errno::EINTR) => continue,
                status => status.expect("the command has not been waited for"),
            };
            match status {
                WaitStatus::PtraceSyscall(thread) => {
                    self.call(thread);
                    self.go_on(thread, None);
                }
                WaitStatus::PtraceEvent(thread, _, event) => {
                    if event == libc::PTRACE_EVENT_EXEC {
                        self.threads.insert(thread, Within::Call);
                    }
                    self.go_on(thread, None);
                }
                WaitStatus::Stopped(thread, signal) => self.go_on(thread, Some(signal)),
                WaitStatus::Exited(process, code) if process == self.process => return code,
                WaitStatus::Signaled(process, signal, _) if process == self.process => return 128 + signal as i32,
                WaitStatus::Exited(..)
                | WaitStatus::Signaled(..)
                | WaitStatus::Continued(_)
                | WaitStatus::StillAlive => {}
            }
        }
    }

    fn go_on(&self, thread: Pid, signal: Option<Signal>) {
        let broken = matches!(self.threads.get(&thread), Some(Within::Broken(_)));
        let gone = match self.phase {
            Phase::Done if !broken => ptrace::cont(thread, signal),
            Phase::Starting | Phase::Counting | Phase::Done => ptrace::syscall(thread, signal),
        };
        // A thread that was killed while it stood still is no longer there.
        assert!(matches!(gone, Ok(()) | Err(Errno::ESRCH)), "{gone:?}");
    }

    fn call(&mut self, thread: Pid) {
        let within = self.threads.entry(thread).or_insert(Within::Program);
        match *within {
            Within::Program => *within = Within::Call,
            Within::Call => {
                *within = Within::Program;
                return;
            }
            Within::Broken(end) => {
                *within = Within::Program;
                self.finish(thread, end);
                return;
            }
        }
        let Ok(mut registers) = ptrace::getregs(thread) else { return };
        match self.phase {
            Phase::Done => return,
            Phase::Starting => {
                if registers.orig_rax == POLL {
                    self.phase = Phase::Counting;
                }
                return;
            }
            Phase::Counting => {}
        }
        let Some(call) = self.kind(&registers) else { return };
        let count = self.counts.entry(call).or_default();
        *count += 1;
        let Some(point) = self.point.filter(|point| point.call == call && point.nth == *count) else { return };
        (self.fired, self.phase) = (true, Phase::Done);
        let end = match point.fault {
            Fault::KillBefore => {
                kill(self.process, Signal::SIGKILL).expect("it stands still");
                return;
            }
            Fault::KillAfter => End::Killed,
            Fault::Error(error) => {
                registers.orig_rax = u64::MAX;
                End::Fails(error.number())
            }
            Fault::Short => {
                let length = registers.rdx;
                registers.rdx = length.min(1);
                End::Short(length)
            }
        };
        ptrace::setregs(thread, registers).expect("it stands still");
        self.threads.insert(thread, Within::Broken(end));
    }

    /// Lets a call that was entered end in another way.
    fn finish(&self, thread: Pid, end: End) {
        let Ok(mut registers) = ptrace::getregs(thread) else { return };
        match end {
            End::Killed => {
                kill(self.process, Signal::SIGKILL).expect("it stands still");
                return;
            }
            End::Fails(number) => registers.rax = i64::from(-number).cast_unsigned(),
            End::Short(length) => registers.rdx = length,
        }
        ptrace::setregs(thread, registers).expect("it stands still");
    }

    /// Tells calls apart, those by descriptor too; `None` is not broken.
    fn kind(&mut self, registers: &libc::user_regs_struct) -> Option<Call> {
        let call = Call::of(registers.orig_rax)?;
        if call == Call::Close {
            self.files.remove(&registers.rdi);
            let file = fs::metadata(format!("/proc/{}/fd/{}", self.process, registers.rdi));
            return file.is_ok_and(|file| file.is_file()).then_some(call);
        }
        if call != Call::Read && call != Call::Write {
            return Some(call);
        }
        match self.descriptor(registers.rdi) {
            Descriptor::File => Some(call),
            Descriptor::Socket => Some(if call == Call::Read { Call::Receive } else { Call::Send }),
            Descriptor::Output if call == Call::Write => Some(Call::Print),
            Descriptor::Output | Descriptor::Internal => None,
        }
    }

    fn descriptor(&mut self, number: u64) -> Descriptor {
        let process = self.process;
        *self.files.entry(number).or_insert_with(|| {
            let target = fs::read_link(format!("/proc/{process}/fd/{number}")).unwrap_or_default();
            let target = target.to_string_lossy();
            match number {
                1 | 2 => Descriptor::Output,
                _ if target.starts_with("socket:") => Descriptor::Socket,
                _ if target.starts_with("anon_inode:") || target.starts_with("pipe:") => Descriptor::Internal,
                _ => Descriptor::File,
            }
        })
    }
}

const POLL: u64 = libc::SYS_poll.cast_unsigned();
