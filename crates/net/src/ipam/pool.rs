//! Pure: which pool a network gets, and which address an endpoint.

use std::net::Ipv4Addr;

use super::Prefix;

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

/// Returns the first default pool that nothing in `used` overlaps.
pub(crate) fn choose(used: &[Prefix]) -> Option<Prefix> {
    default_pools().find(|pool| !used.iter().any(|used| used.overlaps(*pool)))
}

/// Returns the first address that a host may have: the gateway's, when nothing else is said.
pub(crate) fn first(subnet: Prefix) -> Ipv4Addr {
    Ipv4Addr::from_bits(subnet.network().address().to_bits().saturating_add(1))
}

/// Returns the addresses that may be given out, in order, from `from` on: neither the network's
/// own, nor the broadcast's, nor the gateway's.
pub(crate) fn candidates(
    subnet: Prefix,
    gateway: Ipv4Addr,
    from: Ipv4Addr,
) -> impl Iterator<Item = Ipv4Addr> {
    let start = first(subnet).max(from).to_bits();
    let end = subnet.broadcast().to_bits();
    (start..end)
        .map(Ipv4Addr::from_bits)
        .filter(move |address| *address != gateway)
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
        let table: [(&[&str], Option<&str>); 5] = [
            (&[], Some("172.17.0.0/16")),
            (&["172.17.4.0/24"], Some("172.18.0.0/16")),
            (
                &["10.0.0.0/8", "172.17.0.0/16", "172.19.0.1/32"],
                Some("172.18.0.0/16"),
            ),
            (&["172.16.0.0/12"], Some("192.168.0.0/20")),
            (&["172.16.0.0/12", "192.168.0.0/16"], None),
        ];
        for (used, expected) in table {
            let used: Vec<_> = used.iter().map(|text| prefix(text)).collect();
            assert_eq!(choose(&used), expected.map(prefix), "{used:?}");
        }
    }

    #[test]
    fn candidates_leave_out_network_gateway_and_broadcast() {
        let subnet = prefix("10.1.2.1/29");
        let gateway = first(subnet);
        assert_eq!(gateway, Ipv4Addr::new(10, 1, 2, 1));
        let last = |from: Ipv4Addr| -> Vec<u8> {
            candidates(subnet, gateway, from)
                .map(|address| address.octets()[3])
                .collect()
        };
        assert_eq!(last(Ipv4Addr::UNSPECIFIED), [2, 3, 4, 5, 6]);
        assert_eq!(last(Ipv4Addr::new(10, 1, 2, 5)), [5, 6]);
        assert_eq!(last(Ipv4Addr::new(10, 1, 2, 7)), [0_u8; 0]);
        // A gateway in the middle.
        let middle = candidates(subnet, Ipv4Addr::new(10, 1, 2, 3), Ipv4Addr::UNSPECIFIED);
        assert_eq!(
            middle
                .map(|address| address.octets()[3])
                .collect::<Vec<_>>(),
            [1, 2, 4, 5, 6]
        );
        assert_eq!(
            candidates(prefix("10.0.0.0/32"), gateway, Ipv4Addr::UNSPECIFIED).count(),
            0
        );
        assert_eq!(
            candidates(prefix("10.0.0.0/31"), gateway, Ipv4Addr::UNSPECIFIED).count(),
            0
        );
    }
}
