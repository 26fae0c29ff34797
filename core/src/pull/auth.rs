//! What each origin wants to see, and what it has been shown.

use crate::credentials::Credential;
use crate::sorted::SortedMap;
use crate::time::Time;
use crate::token::{
    Acquisition, Authorization, BearerChallenge, Challenger, Grant, Token, TokenError, TokenKey, TokenRequest,
    TokenStore, acquire,
};
use crate::url::{AddressPolicy, Origin};

/// The credential of the registry's own origin, and what every origin was found to want.
///
/// Other origins, which a redirect led to, are never shown the credential: at the most an
/// anonymous token of their own.
#[derive(Clone, Debug)]
pub(super) struct Authorizations {
    home: Origin,
    credential: Credential,
    store: TokenStore,
    learned: SortedMap<Origin, Learned>,
    /// Where the caller has tokens asked for, whatever the registry says.
    endpoint: Option<BearerChallenge>,
    addresses: AddressPolicy,
}

#[derive(Clone, Debug, Default)]
struct Learned {
    wants: Option<Wants>,
    /// Counts what was learned, so that a refusal of something older is not held against it.
    generation: u32,
}

#[derive(Clone, Debug)]
enum Wants {
    Basic,
    Token(Token),
    Grant(Box<TokenRequest>),
}

/// How a request may go out.
pub(super) enum Access {
    /// With this authorization, or none.
    Send(Option<Authorization>),
    /// Not before a token was granted.
    Ask(Box<TokenRequest>),
}

impl Authorizations {
    pub(super) fn new(home: Origin) -> Self {
        let (store, learned) = (TokenStore::default(), SortedMap::default());
        let addresses = AddressPolicy::default();
        Self { home, credential: Credential::Anonymous, store, learned, endpoint: None, addresses }
    }

    /// Sets the registry's own origin.
    pub(super) fn at(&mut self, home: Origin) {
        self.home = home;
    }

    /// Sets where challenges may lead.
    pub(super) fn lead(&mut self, policy: AddressPolicy) {
        self.addresses = policy;
    }

    /// Sets the credential for the registry's own origin.
    pub(super) fn present(&mut self, credential: Credential) {
        self.credential = credential;
    }

    /// Has tokens for the registry's own origin asked for at an endpoint that the caller names.
    pub(super) fn ask_at(&mut self, endpoint: BearerChallenge) -> Result<(), TokenError> {
        acquire(&endpoint, &self.credential, &self.home, Challenger::Caller, self.addresses)?;
        self.endpoint = Some(endpoint);
        Ok(())
    }

    /// Returns how to ask the endpoint that the caller has named for tokens of an origin, if so.
    fn at_endpoint(&self, origin: &Origin) -> Result<Option<Box<TokenRequest>>, TokenError> {
        let Some(endpoint) = self.endpoint.as_ref().filter(|_| *origin == self.home) else { return Ok(None) };
        Ok(match acquire(endpoint, &self.credential, origin, Challenger::Caller, self.addresses)? {
            Acquisition::Ask(request) => Some(request),
            Acquisition::Present(_) => None,
        })
    }

    /// Forgets the token of the caller's endpoint, which was refused; returns whether there is one.
    pub(super) fn refuse_endpoint(&mut self, origin: &Origin) -> Result<bool, TokenError> {
        let Some(request) = self.at_endpoint(origin)? else { return Ok(false) };
        self.forget(&request.key);
        Ok(true)
    }

    fn forget(&mut self, key: &TokenKey) {
        if let Some(refused) = self.store.lookup(key, Time(0)).cloned() {
            self.store.invalidate(key, &refused);
        }
    }

    /// Returns the credential that may be used for an origin.
    pub(super) fn credential(&self, origin: &Origin) -> &Credential {
        if *origin == self.home { &self.credential } else { &Credential::Anonymous }
    }

    /// Returns how a request to `origin` may go out now.
    pub(super) fn access(&self, origin: &Origin, now: Time) -> Result<Access, TokenError> {
        let credential = self.credential(origin);
        if let Credential::RegistryToken(token) = credential {
            return Ok(Access::Send(Some(Authorization::bearer(&Token::new(token.clone())?))));
        }
        Ok(match self.learned.get(origin).and_then(|learned| learned.wants.as_ref()) {
            None => match self.at_endpoint(origin)? {
                Some(request) => self.granted(request, now),
                None => Access::Send(None),
            },
            Some(Wants::Basic) => Access::Send(match credential {
                Credential::Basic { username, password } => Some(Authorization::basic(username, password)?),
                Credential::Anonymous | Credential::IdentityToken(_) | Credential::RegistryToken(_) => None,
            }),
            Some(Wants::Token(token)) => Access::Send(Some(Authorization::bearer(token))),
            Some(Wants::Grant(request)) => self.granted(request.clone(), now),
        })
    }

    fn granted(&self, request: Box<TokenRequest>, now: Time) -> Access {
        match self.store.lookup(&request.key, now) {
            Some(token) => Access::Send(Some(Authorization::bearer(token))),
            None => Access::Ask(request),
        }
    }

    /// Returns the generation of what is known of an origin.
    pub(super) fn generation(&self, origin: &Origin) -> u32 {
        self.learned.get(origin).map_or(0, |learned| learned.generation)
    }

    /// Learns that an origin wants Basic; returns whether that is news that can be acted on.
    pub(super) fn learn_basic(&mut self, origin: &Origin) -> bool {
        let answerable = matches!(self.credential(origin), Credential::Basic { .. });
        let learned = self.learned.or_default(origin.clone());
        let news = !matches!(learned.wants, Some(Wants::Basic));
        learned.wants = Some(Wants::Basic);
        learned.generation += 1;
        news && answerable
    }

    /// Learns that an origin wants a token for `challenge`, and that the present one is no good.
    pub(super) fn learn_bearer(&mut self, origin: &Origin, challenge: &BearerChallenge) -> Result<(), TokenError> {
        let challenger = if *origin == self.home { Challenger::Registry } else { Challenger::Elsewhere };
        let wants = match acquire(challenge, self.credential(origin), origin, challenger, self.addresses)? {
            Acquisition::Present(token) => Wants::Token(token),
            Acquisition::Ask(request) => {
                // Which token was refused does not matter: every exchange is sent with the present
                // one, or is sent again before its refusal is held against it.
                self.forget(&request.key);
                Wants::Grant(request)
            }
        };
        self.learned.or_default(origin.clone()).wants = Some(wants);
        Ok(())
    }

    /// Keeps a token that was granted.
    pub(super) fn grant(&mut self, origin: &Origin, key: TokenKey, grant: &Grant, now: Time) {
        self.store.insert(key, grant, now);
        self.learned.or_default(origin.clone()).generation += 1;
    }
}
