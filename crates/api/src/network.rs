//! Pure: networks and the endpoints of containers on them.

use std::collections::BTreeMap;

use crate::container::PortBinding;
use crate::json::document;

document! {
    /// What a create request says about networks.
    NetworkingConfig { endpoints_config: Option<BTreeMap<String, EndpointSettings>> = "EndpointsConfig" }
    /// A container's place on one network.
    EndpointSettings {
        ipam_config: Option<EndpointIpam> = "IPAMConfig",
        links: Option<Vec<String>> = "Links",
        aliases: Option<Vec<String>> = "Aliases",
        mac_address: String = "MacAddress",
        driver_opts: Option<BTreeMap<String, String>> = "DriverOpts",
        gw_priority: i64 = "GwPriority",
        network_id: String = "NetworkID",
        endpoint_id: String = "EndpointID",
        gateway: String = "Gateway",
        ip_address: String = "IPAddress",
        ip_prefix_len: i64 = "IPPrefixLen",
        ipv6_gateway: String = "IPv6Gateway",
        global_ipv6_address: String = "GlobalIPv6Address",
        global_ipv6_prefix_len: i64 = "GlobalIPv6PrefixLen",
        dns_names: Option<Vec<String>> = "DNSNames",
    }
    /// Addresses that the user chose.
    EndpointIpam {
        ipv4_address: String = "IPv4Address" omit,
        ipv6_address: String = "IPv6Address" omit,
        link_local_ips: Vec<String> = "LinkLocalIPs" omit,
    }
    /// The network part of container inspect (with the top-level addresses of before 1.52).
    NetworkSettings {
        bridge: String = "Bridge",
        sandbox_id: String = "SandboxID",
        sandbox_key: String = "SandboxKey",
        ports: BTreeMap<String, Option<Vec<PortBinding>>> = "Ports",
        hairpin_mode: bool = "HairpinMode",
        link_local_ipv6_address: String = "LinkLocalIPv6Address",
        link_local_ipv6_prefix_len: i64 = "LinkLocalIPv6PrefixLen",
        secondary_ip_addresses: Option<Vec<Address>> = "SecondaryIPAddresses",
        secondary_ipv6_addresses: Option<Vec<Address>> = "SecondaryIPv6Addresses",
        endpoint_id: String = "EndpointID",
        gateway: String = "Gateway",
        global_ipv6_address: String = "GlobalIPv6Address",
        global_ipv6_prefix_len: i64 = "GlobalIPv6PrefixLen",
        ip_address: String = "IPAddress",
        ip_prefix_len: i64 = "IPPrefixLen",
        ipv6_gateway: String = "IPv6Gateway",
        mac_address: String = "MacAddress",
        networks: BTreeMap<String, EndpointSettings> = "Networks",
    }
    /// An address with its prefix length.
    Address { addr: String = "Addr", prefix_len: i64 = "PrefixLen" }
    /// `GET /networks` and `/networks/{id}`.
    Network {
        name: String = "Name",
        id: String = "Id",
        created: String = "Created",
        scope: String = "Scope",
        driver: String = "Driver",
        enable_ipv4: bool = "EnableIPv4",
        enable_ipv6: bool = "EnableIPv6",
        ipam: Ipam = "IPAM",
        internal: bool = "Internal",
        attachable: bool = "Attachable",
        ingress: bool = "Ingress",
        config_from: ConfigFrom = "ConfigFrom",
        config_only: bool = "ConfigOnly",
        containers: BTreeMap<String, NetworkContainer> = "Containers",
        options: Option<BTreeMap<String, String>> = "Options",
        labels: Option<BTreeMap<String, String>> = "Labels",
    }
    /// How addresses are given out.
    Ipam {
        driver: String = "Driver",
        options: Option<BTreeMap<String, String>> = "Options",
        config: Option<Vec<IpamConfig>> = "Config",
    }
    /// One subnet.
    IpamConfig {
        subnet: String = "Subnet" omit,
        ip_range: String = "IPRange" omit,
        gateway: String = "Gateway" omit,
        auxiliary_addresses: BTreeMap<String, String> = "AuxiliaryAddresses" omit,
    }
    /// The network that this one copies its configuration from.
    ConfigFrom { network: String = "Network" }
    /// A container on a network.
    NetworkContainer {
        name: String = "Name",
        endpoint_id: String = "EndpointID",
        mac_address: String = "MacAddress",
        ipv4_address: String = "IPv4Address",
        ipv6_address: String = "IPv6Address",
    }
    /// `POST /networks/create`.
    NetworkCreateRequest {
        name: String = "Name",
        driver: String = "Driver",
        scope: String = "Scope",
        enable_ipv4: Option<bool> = "EnableIPv4" omit,
        enable_ipv6: Option<bool> = "EnableIPv6" omit,
        ipam: Option<Ipam> = "IPAM",
        internal: bool = "Internal",
        attachable: bool = "Attachable",
        ingress: bool = "Ingress",
        config_only: bool = "ConfigOnly",
        config_from: Option<ConfigFrom> = "ConfigFrom",
        options: Option<BTreeMap<String, String>> = "Options",
        labels: Option<BTreeMap<String, String>> = "Labels",
    }
    /// The answer to it.
    NetworkCreateResponse { id: String = "Id", warning: String = "Warning" }
    /// `POST /networks/{id}/connect`.
    NetworkConnectRequest {
        container: String = "Container",
        endpoint_config: Option<EndpointSettings> = "EndpointConfig" omit,
    }
    /// `POST /networks/{id}/disconnect`.
    NetworkDisconnectRequest { container: String = "Container", force: bool = "Force" }
    /// The answer to `POST /networks/prune`.
    NetworksPruned { networks_deleted: Option<Vec<String>> = "NetworksDeleted" }
}
