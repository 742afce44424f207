//! Allow-lists of a key: which models it may ask for, and from where it may be used.
//!
//! The one rule: a list never allows more than each list that it was made from, see [`Models::and`].

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// The most entries of one list: a request is compared with all of them.
pub const MAX_ENTRIES: usize = 100;

/// The longest entry, in bytes; ids of models are shorter.
const MAX_ENTRY_BYTES: usize = 200;

/// Why a list is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AllowError {
    /// Too few or too many entries, or one that is empty or too long.
    #[error("a list has 1 to {MAX_ENTRIES} entries of 1 to {MAX_ENTRY_BYTES} bytes")]
    Size,
    /// A `*` that is not the last character.
    #[error("a `*` may only stand at the end of a model's id")]
    Star,
    /// No IP address, or no prefix of one.
    #[error("it must be an IP address or a network such as 203.0.113.0/24")]
    Network,
    /// The address has bits behind the prefix.
    #[error("the address of the network has bits behind its prefix")]
    HostBits,
}

/// Ids of models; one that ends in `*` stands for all that begin so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Models(Vec<String>);

impl Models {
    /// A list as a person writes it.
    ///
    /// # Errors
    /// [`AllowError`].
    pub fn new(entries: &[String]) -> Result<Self, AllowError> {
        check_size(entries)?;
        if entries.iter().any(|entry| entry.find('*').is_some_and(|at| at.saturating_add(1) != entry.len())) {
            return Err(AllowError::Star);
        }
        Ok(Self(entries.to_vec()))
    }

    /// As they were written.
    #[must_use]
    pub fn entries(&self) -> &[String] {
        &self.0
    }

    /// Whether this model may be asked for.
    #[must_use]
    pub fn allow(&self, model: &str) -> bool {
        self.0.iter().any(|entry| covers(entry, model))
    }

    /// Whether `other` allows all that this list does.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|mine| other.0.iter().any(|theirs| covers(theirs, mine)))
    }

    /// What both allow, which may be nothing: each entry once, so that no line of lists grows beyond all of their
    /// entries together.
    #[must_use]
    pub fn and<'a>(&'a self, other: &'a Self) -> Self {
        let both = |mine: &'a String| {
            other.0.iter().filter_map(move |theirs| {
                if covers(theirs, mine) { Some(mine) } else { covers(mine, theirs).then_some(theirs) }
            })
        };
        let mut seen = BTreeSet::new();
        Self(self.0.iter().flat_map(both).filter(|entry| seen.insert(*entry)).cloned().collect())
    }
}

/// Whether an entry allows all that another entry, or a model's id, stands for. A `*` in the other is compared as
/// a character, which only a shorter or equal beginning can cover.
fn covers(entry: &str, other: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(beginning) => other.starts_with(beginning),
        None => entry == other,
    }
}

/// Networks of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// A list as a person writes it.
    ///
    /// # Errors
    /// [`AllowError`].
    pub fn new(entries: &[String]) -> Result<Self, AllowError> {
        check_size(entries)?;
        Ok(Self(entries.iter().map(|entry| Network::read(entry)).collect::<Result<_, _>>()?))
    }

    /// As text: a single address stands without a prefix.
    #[must_use]
    pub fn entries(&self) -> Vec<String> {
        self.0.iter().map(|network| String::from(*network)).collect()
    }

    /// Whether a key may be used from this address.
    #[must_use]
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = Network::of(address);
        self.0.iter().any(|network| network.covers(address))
    }

    /// Whether `other` allows all that this list does. Two halves of a network in `other` do not cover it here.
    #[must_use]
    pub fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|mine| other.0.iter().any(|theirs| theirs.covers(*mine)))
    }
}

/// A network of IPv4 or IPv6. An IPv4 address that was mapped into IPv6 is the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Network {
    address: IpAddr,
    /// In bits, within those of the address.
    prefix: u32,
}

impl Network {
    /// One address.
    fn of(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: bits(address).1 }
    }

    fn read(text: &str) -> Result<Self, AllowError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| AllowError::Network)?;
        let single = Self::of(address);
        let Some(prefix) = prefix else { return Ok(single) };
        // `+8` and `08` are numbers to Rust, but nobody's prefix.
        let plain = !prefix.starts_with(['+', '0']) || prefix == "0";
        let given: u32 = prefix.parse().ok().filter(|_| plain).ok_or(AllowError::Network)?;
        let mapped = bits(address).1.saturating_sub(single.prefix);
        let prefix = given.checked_sub(mapped).filter(|prefix| *prefix <= single.prefix).ok_or(AllowError::Network)?;
        let network = Self { prefix, ..single };
        if network.first() == bits(single.address).0 { Ok(network) } else { Err(AllowError::HostBits) }
    }

    /// The bits of its address, as far as the prefix goes.
    fn first(self) -> u128 {
        let (address, length) = bits(self.address);
        let behind = length.saturating_sub(self.prefix);
        address.checked_shr(behind).and_then(|network| network.checked_shl(behind)).unwrap_or(0)
    }

    fn covers(self, other: Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.prefix <= other.prefix
            && self.first() == Self { prefix: self.prefix, ..other }.first()
    }
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

impl TryFrom<String> for Network {
    type Error = AllowError;

    fn try_from(text: String) -> Result<Self, AllowError> {
        Self::read(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        let Network { address, prefix } = network;
        if prefix == bits(address).1 { address.to_string() } else { format!("{address}/{prefix}") }
    }
}

fn check_size(entries: &[String]) -> Result<(), AllowError> {
    let fits = |entry: &String| (1..=MAX_ENTRY_BYTES).contains(&entry.len());
    if (1..=MAX_ENTRIES).contains(&entries.len()) && entries.iter().all(fits) { Ok(()) } else { Err(AllowError::Size) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn models(entries: &[&str]) -> Models {
        Models::new(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn networks(entries: &[&str]) -> Result<Networks, AllowError> {
        Networks::new(&entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_star_stands_for_what_follows() {
        let list = models(&["gpt-4o", "claude-*"]);
        for (model, allowed) in [
            ("gpt-4o", true),
            ("gpt-4o-mini", false),
            ("claude-", true),
            ("claude-x", true),
            ("claud", false),
            ("", false),
        ] {
            assert_eq!(list.allow(model), allowed, "{model}");
        }
        assert!(models(&["*"]).allow("anything"));
        assert_eq!(Models::new(&["a*b".into()]), Err(AllowError::Star));
        assert_eq!(Models::new(&[]), Err(AllowError::Size));
        assert_eq!(Models::new(&[String::new()]), Err(AllowError::Size));
    }

    #[test]
    fn no_line_of_lists_grows_beyond_their_entries() {
        let longer = |n: usize| format!("{}*", "a".repeat(n));
        let nested = Models::new(&(1..=MAX_ENTRIES).map(longer).collect::<Vec<_>>()).unwrap();
        let all = (0..8).fold(nested.clone(), |all, _| all.and(&nested));
        assert_eq!(all, nested);
        assert_eq!(models(&["*", "a*"]).and(&models(&["b*", "*", "ab*"])), models(&["b*", "*", "ab*", "a*"]));
    }

    #[test]
    fn networks_are_read_strictly_and_written_shortest() {
        for (given, written) in [
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::1/128", "::1"),
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ] {
            let list = networks(&[given]).unwrap();
            assert_eq!(list.entries(), [written], "{given}");
            let json = serde_json::to_string(&list).unwrap();
            assert_eq!(serde_json::from_str::<Networks>(&json).unwrap(), list, "{given}");
        }
        for (wrong, why) in [
            ("203.0.113.7/24", AllowError::HostBits),
            ("2001:db8::1/32", AllowError::HostBits),
            ("203.0.113.0/33", AllowError::Network),
            ("203.0.113.0/08", AllowError::Network),
            ("203.0.113.0/+8", AllowError::Network),
            ("203.0.113.0/", AllowError::Network),
            ("203.0.113", AllowError::Network),
            ("::ffff:203.0.113.0/64", AllowError::Network),
            ("example.com", AllowError::Network),
            ("", AllowError::Size),
        ] {
            assert_eq!(networks(&[wrong]), Err(why), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_allowed_by_its_network_in_either_spelling() {
        let list = networks(&["203.0.113.0/24", "2001:db8::/32"]).unwrap();
        for (address, allowed) in [
            ("203.0.113.255", true),
            ("::ffff:203.0.113.1", true),
            ("203.0.114.0", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            assert_eq!(list.allow(address.parse().unwrap()), allowed, "{address}");
        }
        let all = networks(&["0.0.0.0/0"]).unwrap();
        assert!(all.allow("9.9.9.9".parse().unwrap()) && !all.allow("2001:db8::1".parse().unwrap()));
    }

    fn any_models() -> impl Strategy<Value = Models> {
        proptest::collection::vec("[ab]{1,3}[*]?|[*]", 1..4).prop_map(|entries| Models::new(&entries).unwrap())
    }

    fn any_networks() -> impl Strategy<Value = Networks> {
        let network = (0u32..8, 29u32..=32).prop_map(|(host, prefix)| {
            let address = std::net::Ipv4Addr::from_bits((host >> (32 - prefix)) << (32 - prefix));
            format!("{address}/{prefix}")
        });
        proptest::collection::vec(network, 1..4).prop_map(|entries| Networks::new(&entries).unwrap())
    }

    proptest! {
        #[test]
        fn what_two_lists_allow_is_what_each_allows(a in any_models(), b in any_models(), model in "[abc]{0,4}") {
            prop_assert_eq!(a.and(&b).allow(&model), a.allow(&model) && b.allow(&model));
            prop_assert!(a.and(&b).within(&a) && a.and(&b).within(&b));
            if a.within(&b) {
                prop_assert!(!a.allow(&model) || b.allow(&model));
            }
        }

        #[test]
        fn a_narrower_list_of_networks_allows_no_more(a in any_networks(), b in any_networks(), host in 0u32..8) {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(host));
            if a.within(&b) {
                prop_assert!(!a.allow(address) || b.allow(address));
            }
            prop_assert!(a.within(&a));
        }
    }
}
