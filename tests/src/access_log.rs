//! Reads access logs in the "combined" format of Apache, which docker-registry and nginx write too.

/// A request, as a log tells of it once its answer has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in upper case.
    pub method: String,
    /// The path with the query.
    pub target: String,
    /// The status of the answer.
    pub status: u16,
    /// How many bytes of the answer's body were sent.
    pub bytes: u64,
}

/// Finds the requests in a log that may hold other lines too.
///
/// ```
/// let log = "time=\"..\" level=info msg=\"listening\"\n\
///     127.0.0.1 - - [25/Nov/2026:09:48:13 +0000] \"GET /v2/ HTTP/1.1\" 200 2 \"\" \"agent\"\n";
/// let requests = oci_fetcher_tests::access_log::parse(log);
/// assert_eq!((requests.len(), requests[0].target.as_str(), requests[0].status), (1, "/v2/", 200));
/// ```
#[must_use]
pub fn parse(log: &str) -> Vec<Request> {
    log.lines().filter_map(line).collect()
}

fn line(text: &str) -> Option<Request> {
    let (_, rest) = text.split_once("] \"")?;
    let (request, answer) = rest.split_once("\" ")?;
    let mut request = request.split(' ');
    let (method, target) = (request.next()?, request.next()?);
    let mut answer = answer.split(' ');
    let (status, bytes) = (answer.next()?.parse().ok()?, answer.next()?.parse().ok()?);
    Some(Request { method: method.to_owned(), target: target.to_owned(), status, bytes })
}
