//! Pure: which pool a network gets, and which address an endpoint.

use std::net::Ipv4Addr;

use super::Prefix;
use crate::record::Subnet;

/// Docker's default pools in their order: `172.17/16` to `172.31/16`, then `192.168/16` in
/// networks of 20 bits (network reference §2.2).
fn default_pools() -> impl Iterator<Item = Prefix> {
    let sixteens = (17..=31).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    let twenties = (0..=240)
        .step_by(16)
        .map(|third| (Ipv4Addr::new(192, 168, third, 0), 20));
    sixteens
        .chain(twenties)
        .filter_map(|(address, length)| Prefix::new(address, length))
}

/// Ours, for when Docker's are used up: small ones, far from where people begin to count.
fn more_pools() -> impl Iterator<Item = Prefix> {
    (201..=254)
        .flat_map(|second| (0..=255).map(move |third| Ipv4Addr::new(10, second, third, 0)))
        .filter_map(|address| Prefix::new(address, 24))
}

/// Returns the first default pool that nothing in `used` overlaps.
pub(crate) fn choose(used: &[Prefix]) -> Option<Prefix> {
    default_pools()
        .chain(more_pools())
        .find(|pool| !used.iter().any(|used| used.overlaps(*pool)))
}

/// Returns the first address that a host may have: the gateway's, when nothing else is said.
pub(crate) fn first(subnet: Prefix) -> Ipv4Addr {
    Ipv4Addr::from_bits(subnet.network().address().to_bits().saturating_add(1))
}

/// Returns the addresses that may be given out, in order, from `from` on: neither the network's
/// own, nor the broadcast's, nor the gateway's, nor what belongs to somebody else.
pub(crate) fn candidates(subnet: &Subnet, from: Ipv4Addr) -> impl Iterator<Item = Ipv4Addr> {
    let range = subnet.range.unwrap_or(subnet.subnet);
    let lowest = first(subnet.subnet).max(range.network().address());
    let start = lowest.max(from).to_bits();
    let past_range = range.broadcast().to_bits().saturating_add(1);
    let end = subnet.subnet.broadcast().to_bits().min(past_range);
    (start..end).map(Ipv4Addr::from_bits).filter(|address| {
        *address != subnet.gateway && !subnet.auxiliary.values().any(|other| other == address)
    })
}

/// Returns Docker's classic hardware address of an endpoint: `02:42` and its IPv4 address. The
/// same address always answers with the same hardware address, so neighbours' caches stay right
/// when it is given out again.
pub(crate) fn mac(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [0x02, 0x42, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn there_are_docker_s_31_pools() {
        let pools: Vec<_> = default_pools().map(|pool| pool.to_string()).collect();
        assert_eq!(pools.len(), 31);
        assert_eq!(
            (pools[0].as_str(), pools[14].as_str()),
            ("172.17.0.0/16", "172.31.0.0/16")
        );
        assert_eq!(
            (pools[15].as_str(), pools[30].as_str()),
            ("192.168.0.0/20", "192.168.240.0/20")
        );
    }

    #[test]
    fn a_pool_that_a_route_uses_is_passed_over() {
        let table: [(&[&str], Option<&str>); 6] = [
            (&[], Some("172.17.0.0/16")),
            (&["172.17.4.0/24"], Some("172.18.0.0/16")),
            (
                &["10.0.0.0/8", "172.17.0.0/16", "172.19.0.1/32"],
                Some("172.18.0.0/16"),
            ),
            (&["172.16.0.0/12"], Some("192.168.0.0/20")),
            (
                &["172.16.0.0/12", "192.168.0.0/16", "10.201.0.0/24"],
                Some("10.201.1.0/24"),
            ),
            (&["0.0.0.0/0"], None),
        ];
        for (used, expected) in table {
            let used: Vec<_> = used.iter().map(|text| prefix(text)).collect();
            assert_eq!(choose(&used), expected.map(prefix), "{used:?}");
        }
    }

    fn subnet(text: &str, gateway: [u8; 4]) -> Subnet {
        Subnet {
            subnet: prefix(text).network(),
            range: None,
            gateway: gateway.into(),
            gateway_told: true,
            chosen: true,
            auxiliary: std::collections::BTreeMap::new(),
        }
    }

    fn last(subnet: &Subnet, from: Ipv4Addr) -> Vec<u8> {
        candidates(subnet, from)
            .map(|address| address.octets()[3])
            .collect()
    }

    #[test]
    fn candidates_leave_out_what_is_not_to_be_given() {
        let small = subnet("10.1.2.1/29", [10, 1, 2, 1]);
        let any = Ipv4Addr::UNSPECIFIED;
        assert_eq!(last(&small, any), [2, 3, 4, 5, 6]);
        assert_eq!(last(&small, Ipv4Addr::new(10, 1, 2, 5)), [5, 6]);
        assert_eq!(last(&small, Ipv4Addr::new(10, 1, 2, 7)), [0_u8; 0]);
        // A gateway in the middle, and somebody else's.
        let mut middle = subnet("10.1.2.1/29", [10, 1, 2, 3]);
        middle.auxiliary.insert("x".into(), [10, 1, 2, 5].into());
        assert_eq!(last(&middle, any), [1, 2, 4, 6]);
        assert_eq!(last(&subnet("10.0.0.0/32", [0; 4]), any), [0_u8; 0]);
        assert_eq!(last(&subnet("10.0.0.0/31", [0; 4]), any), [0_u8; 0]);
    }

    #[test]
    fn a_range_is_given_out_from_end_to_end() {
        let mut all = subnet("10.5.0.0/24", [10, 5, 0, 9]);
        all.range = Some(prefix("10.5.0.128/25"));
        let found = last(&all, Ipv4Addr::UNSPECIFIED);
        assert_eq!((found[0], found.len()), (128, 127));
        all.range = Some(prefix("10.5.0.8/30"));
        assert_eq!(last(&all, Ipv4Addr::UNSPECIFIED), [8, 10, 11]);
    }
}
