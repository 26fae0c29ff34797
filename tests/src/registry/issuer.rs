//! The token issuer (Docker's registry token authentication specification, and its OAuth 2 variant).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::Reply;
use super::jwt::Signer;
use super::log::Exchange;
use super::scenario::glob;

/// Issues tokens to accounts, and to anybody if told so, at `/token`.
///
/// A token grants what of the asked scopes its holder may have, which can be nothing.
///
/// ```
/// use std::time::Duration;
/// use oci_fetcher_tests::registry::{Issuer, Options, Port};
///
/// let issuer = Issuer::new()
///     .account("alice", "secret", "*")
///     .identity_token("alice", "identity-1")
///     .anonymous("library/*")
///     .lifetime(Duration::from_secs(2))
///     .port(Port::Own);
/// # let _ = Options::new().tokens(issuer);
/// ```
#[derive(Clone, Debug)]
pub struct Issuer {
    pub(super) service: String,
    pub(super) port: Port,
    pub(super) realm: Option<String>,
    accounts: Vec<Account>,
    anonymous: Option<String>,
    lifetime: Duration,
    expires_in: ExpiresIn,
    field: TokenField,
    post: TokenPost,
    signer: Option<Signer>,
}

#[derive(Clone, Debug)]
struct Account {
    name: String,
    password: String,
    repositories: String,
    identity_tokens: Vec<String>,
}

/// Where an issuer listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// On the registry's port.
    Shared,
    /// On a port of its own.
    Own,
}

/// What an issuer says of a token's lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresIn {
    /// The truth, in whole seconds.
    Truth,
    /// Nothing.
    Absent,
    /// This many seconds.
    Seconds(u64),
}

/// The member that holds the token in an issuer's answer to GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenField {
    /// `token`.
    Token,
    /// `access_token`.
    AccessToken,
    /// Both.
    Both,
}

/// Whether an issuer answers POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPost {
    /// It does.
    Served,
    /// It refuses with this status: 404 or 405.
    Refused(u16),
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// Starts an issuer without accounts, whose tokens live for five minutes.
    #[must_use]
    pub fn new() -> Self {
        Self {
            service: "registry.test".to_owned(),
            port: Port::Shared,
            realm: None,
            accounts: Vec::new(),
            anonymous: None,
            lifetime: Duration::from_secs(300),
            expires_in: ExpiresIn::Truth,
            field: TokenField::Both,
            post: TokenPost::Served,
            signer: None,
        }
    }

    /// Adds an account that may do everything in repositories that match the pattern.
    #[must_use]
    pub fn account(mut self, name: &str, password: &str, repositories: &str) -> Self {
        self.accounts.push(Account {
            name: name.to_owned(),
            password: password.to_owned(),
            repositories: repositories.to_owned(),
            identity_tokens: Vec::new(),
        });
        self
    }

    /// Gives an account an identity token, which POST takes as `refresh_token`.
    #[must_use]
    pub fn identity_token(mut self, name: &str, token: &str) -> Self {
        let account = self.accounts.iter_mut().find(|account| account.name == name).expect("the account exists");
        account.identity_tokens.push(token.to_owned());
        self
    }

    /// Lets anybody pull from repositories that match the pattern.
    #[must_use]
    pub fn anonymous(mut self, repositories: &str) -> Self {
        self.anonymous = Some(repositories.to_owned());
        self
    }

    /// Sets how long tokens live.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets what answers say of the lifetime.
    #[must_use]
    pub fn expires_in(mut self, expires_in: ExpiresIn) -> Self {
        self.expires_in = expires_in;
        self
    }

    /// Sets the member that holds the token.
    #[must_use]
    pub fn field(mut self, field: TokenField) -> Self {
        self.field = field;
        self
    }

    /// Chooses whether POST is answered.
    #[must_use]
    pub fn post(mut self, post: TokenPost) -> Self {
        self.post = post;
        self
    }

    /// Chooses the port.
    #[must_use]
    pub fn port(mut self, port: Port) -> Self {
        self.port = port;
        self
    }

    /// Sets the service's name.
    #[must_use]
    pub fn service(mut self, service: &str) -> Self {
        self.service = service.to_owned();
        self
    }

    /// Makes challenges name this realm instead of the issuer's own address.
    #[must_use]
    pub fn realm(mut self, realm: &str) -> Self {
        self.realm = Some(realm.to_owned());
        self
    }

    /// Issues signed tokens, for a registry that cannot ask the issuer about them.
    #[must_use]
    pub fn signed(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Returns the service's name.
    #[must_use]
    pub fn service_name(&self) -> &str {
        &self.service
    }

    /// Answers a request for a token.
    pub(super) fn answer(&self, exchange: &Exchange, tokens: &mut Tokens) -> Reply {
        let (parameters, account) = match (exchange.method.as_str(), self.post) {
            ("GET" | "HEAD", _) => match exchange.header("authorization") {
                None => (exchange.query(), Ok(None)),
                Some(field) => (exchange.query(), self.by_basic(field).map(Some)),
            },
            ("POST", TokenPost::Served) => {
                let form = exchange.form();
                let account = self.by_form(&form).map(Some);
                (form, account)
            }
            ("POST", TokenPost::Refused(status)) => return Reply::error(status, "UNSUPPORTED", "no POST here"),
            (_, _) => return Reply::error(405, "UNSUPPORTED", "no such method"),
        };
        let Ok(account) = account else {
            return Reply::error(401, "UNAUTHORIZED", "incorrect username or password");
        };
        if account.is_none() && self.anonymous.is_none() {
            return Reply::error(401, "UNAUTHORIZED", "authentication required");
        }
        if value(&parameters, "service").is_some_and(|service| service != self.service) {
            return Reply::error(400, "UNSUPPORTED", "no such service");
        }
        let scopes = parameters.iter().filter(|(name, _)| name == "scope");
        let scopes = scopes.flat_map(|(_, scopes)| scopes.split(' ')).filter(|scope| !scope.is_empty());
        let access: Vec<Scope> = scopes.filter_map(|scope| self.grant(scope, account)).collect();
        let token = self.issue(account, &access, tokens);
        Reply::json(200, &self.body(exchange, &parameters, &token, account)).header("Cache-Control", "no-store")
    }

    fn body(&self, exchange: &Exchange, form: &[(String, String)], token: &str, account: Option<&Account>) -> Value {
        let mut body = json!({});
        let by_post = exchange.method == "POST";
        if by_post || self.field != TokenField::Token {
            body["access_token"] = json!(token);
        }
        if !by_post && self.field != TokenField::AccessToken {
            body["token"] = json!(token);
        }
        match self.expires_in {
            ExpiresIn::Truth => body["expires_in"] = json!(self.lifetime.as_secs()),
            ExpiresIn::Seconds(seconds) => body["expires_in"] = json!(seconds),
            ExpiresIn::Absent => {}
        }
        let offline = value(form, "offline_token") == Some("true") || value(form, "access_type") == Some("offline");
        if let (true, Some(identity)) = (offline, account.and_then(|account| account.identity_tokens.first())) {
            body["refresh_token"] = json!(identity);
        }
        body
    }

    fn issue(&self, account: Option<&Account>, access: &[Scope], tokens: &mut Tokens) -> String {
        tokens.issued += 1;
        let token = match &self.signer {
            None => format!("token-{}", tokens.issued),
            Some(signer) => {
                let name = account.map_or("", |account| &account.name);
                let access: Vec<Value> = access.iter().map(Scope::to_json).collect();
                signer.sign(name, &self.service, &json!(access), self.lifetime, tokens.issued)
            }
        };
        let grant = Grant { access: access.to_vec(), ends: Instant::now() + self.lifetime };
        tokens.grants.insert(token.clone(), grant);
        token
    }

    fn by_basic(&self, field: &str) -> Result<&Account, ()> {
        let (name, password) = parse_basic(field).ok_or(())?;
        self.by_password(&name, &password)
    }

    fn by_form(&self, form: &[(String, String)]) -> Result<&Account, ()> {
        let of = |name| value(form, name).unwrap_or_default();
        match of("grant_type") {
            "password" => self.by_password(of("username"), of("password")),
            "refresh_token" => {
                let token = of("refresh_token");
                let mut accounts = self.accounts.iter();
                accounts.find(|account| account.identity_tokens.iter().any(|known| known == token)).ok_or(())
            }
            _ => Err(()),
        }
    }

    fn by_password(&self, name: &str, password: &str) -> Result<&Account, ()> {
        self.accounts.iter().find(|account| account.name == name && account.password == password).ok_or(())
    }

    /// Grants what of a scope its asker may have.
    fn grant(&self, scope: &str, account: Option<&Account>) -> Option<Scope> {
        let mut scope = Scope::parse(scope)?;
        let pattern = account.map(|account| &account.repositories).or(self.anonymous.as_ref())?;
        if scope.kind != "repository" || !glob(pattern, &scope.name) {
            return None;
        }
        if account.is_none() {
            scope.actions.retain(|action| action == "pull");
        }
        (!scope.actions.is_empty()).then_some(scope)
    }
}

/// Tokens issued until now.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    grants: BTreeMap<String, Grant>,
    issued: usize,
}

#[derive(Debug)]
struct Grant {
    access: Vec<Scope>,
    ends: Instant,
}

/// What a token is worth for a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It is unknown or has expired.
    Invalid,
    /// It is for something else.
    Insufficient,
    /// It is enough.
    Enough,
}

impl Tokens {
    pub(super) fn clear(&mut self) {
        self.grants.clear();
    }

    /// Judges a token; for no repository in particular, any valid one is enough.
    pub(super) fn worth(&self, token: &str, repository: Option<&str>) -> Worth {
        let Some(grant) = self.grants.get(token).filter(|grant| Instant::now() < grant.ends) else {
            return Worth::Invalid;
        };
        let allows = |name: &str| {
            grant.access.iter().any(|scope| scope.name == name && scope.actions.iter().any(|action| action == "pull"))
        };
        if repository.is_none_or(allows) { Worth::Enough } else { Worth::Insufficient }
    }
}

/// A scope, `repository:name:pull,push`; the name may hold colons.
#[derive(Clone, Debug)]
struct Scope {
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Scope {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let actions = actions.split(',').map(str::to_owned).collect();
        Some(Self { kind: kind.to_owned(), name: name.to_owned(), actions })
    }

    fn to_json(&self) -> Value {
        json!({ "type": self.kind, "name": self.name, "actions": self.actions })
    }
}

/// Returns the name and password of an `Authorization: Basic` field.
pub(super) fn parse_basic(field: &str) -> Option<(String, String)> {
    let (scheme, encoded) = field.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
