//! A pull that is given up, its future dropped after each of its polls.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use oci_fetcher::Deadlines;
use oci_fetcher_tests::registry::{Action, Method, Rule};
use tokio::runtime::Builder;

use crate::puller::Puller;

/// Drops the future of a pull after 1, 2, ... polls, until the pull ends before.
#[expect(clippy::print_stdout, reason = "the number of points tried is what this suite is for")]
pub(crate) fn run() {
    let began = Instant::now();
    let puller = Puller::new();
    let mut broken = Vec::new();
    let mut points = 0;
    // In small slices, so that there is more to wait for.
    for slice in [usize::MAX, 200, 40] {
        for polls in 1.. {
            puller.clear();
            if slice < usize::MAX {
                let slow = Action::Slice { bytes: slice, pause: Duration::from_micros(50) };
                puller.registry.add_rule(Rule::on(Method::Get, "*").then(slow));
            }
            let ended = drop_after(&puller, polls);
            broken.extend(
                check(&puller, ended).into_iter().map(|what| format!("slices of {slice}, {polls} polls: {what}")),
            );
            if ended {
                break;
            }
            points += 1;
        }
    }
    println!("{points} polls after which a pull was dropped, {} violations in {:?}", broken.len(), began.elapsed());
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(points > 20, "there is more to wait for in a pull");
}

/// Tells whether the pull ended before.
fn drop_after(puller: &Puller, polls: usize) -> bool {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let client = puller.client(1, Deadlines::default());
    let ended = runtime.block_on(async {
        let pull = pin!(puller.pulling(client));
        AtMost { pull, polls }.await
    });
    // Waits for the workers, who find out that nobody waits for them.
    drop(runtime);
    match ended {
        Some(result) => {
            result.expect("nothing is broken");
            true
        }
        None => false,
    }
}

fn check(puller: &Puller, ended: bool) -> Vec<String> {
    // What has begun to get its name gets it.
    let mut broken = puller.check(ended || puller.is_complete());
    let stored = puller.stored();
    puller.registry.forget_requests();
    let again = puller.pull(1, Deadlines::default());
    if let Err(error) = &again {
        broken.push(format!("P3: {error}"));
    }
    broken.extend(puller.check(again.is_ok()));
    let (fetched, most) = (puller.registry.bytes_sent(), puller.whole - stored + puller.manifest);
    if fetched > most {
        broken.push(format!("P4: {fetched} bytes were fetched, {most} at most were missing"));
    }
    if puller.stored() != puller.whole {
        broken.push("P8: not all blobs are stored".to_owned());
    }
    broken
}

/// Polls a future at most so many times.
struct AtMost<F> {
    pull: F,
    polls: usize,
}

impl<F: Future + Unpin> Future for AtMost<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.pull).poll(context) {
            return Poll::Ready(Some(output));
        }
        self.polls -= 1;
        if self.polls == 0 { Poll::Ready(None) } else { Poll::Pending }
    }
}
