//! Commands: image. One row per command, one per flag; the texts are those of Docker's client.

use super::{Args, Command, Flag, Kind, flag};

#[rustfmt::skip]
const IMAGE_HISTORY: &[Flag] = &[
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag('H', "human", Kind::Switch, "Print sizes and dates in human readable format (default true)"),
    flag(' ', "no-trunc", Kind::Switch, "Don't truncate output"),
    flag(' ', "platform", Kind::Text, "Show history for the given platform. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
    flag('q', "quiet", Kind::Switch, "Only show image IDs"),
];

#[rustfmt::skip]
const IMAGE_IMPORT: &[Flag] = &[
    flag('c', "change", Kind::List, "Apply Dockerfile instruction to the created image"),
    flag('m', "message", Kind::Text, "Set commit message for imported image"),
    flag(' ', "platform", Kind::Text, "Set platform if server is multi-platform capable"),
];

#[rustfmt::skip]
const IMAGE_INSPECT: &[Flag] = &[
    flag('f', "format", Kind::Text, "Format output using a custom template:\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag(' ', "platform", Kind::Text, "Inspect a specific platform of the multi-platform image.\nIf the image or the server is not multi-platform capable, the command will error out if the platform does not match.\n'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)"),
];

#[rustfmt::skip]
const IMAGE_LOAD: &[Flag] = &[
    flag('i', "input", Kind::Text, "Read from tar archive file, instead of STDIN"),
    flag(' ', "platform", Kind::Text, "Load only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
    flag('q', "quiet", Kind::Switch, "Suppress the load output"),
];

#[rustfmt::skip]
const IMAGE_LS: &[Flag] = &[
    flag('a', "all", Kind::Switch, "Show all images (default hides intermediate images)"),
    flag(' ', "digests", Kind::Switch, "Show digests"),
    flag('f', "filter", Kind::Filter, "Filter output based on conditions provided"),
    flag(' ', "format", Kind::Text, "Format output using a custom template:\n'table':            Print output in table format with column headers (default)\n'table TEMPLATE':   Print output in table format using the given Go template\n'json':             Print in JSON format\n'TEMPLATE':         Print output using the given Go template.\nRefer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates"),
    flag(' ', "no-trunc", Kind::Switch, "Don't truncate output"),
    flag('q', "quiet", Kind::Switch, "Only show image IDs"),
    flag(' ', "tree", Kind::Switch, "List multi-platform images as a tree (EXPERIMENTAL)"),
];

#[rustfmt::skip]
const IMAGE_PRUNE: &[Flag] = &[
    flag('a', "all", Kind::Switch, "Remove all unused images, not just dangling ones"),
    flag(' ', "filter", Kind::Filter, "Provide filter values (e.g. \"until=<timestamp>\")"),
    flag('f', "force", Kind::Switch, "Do not prompt for confirmation"),
];

#[rustfmt::skip]
const IMAGE_PULL: &[Flag] = &[
    flag('a', "all-tags", Kind::Switch, "Download all tagged images in the repository"),
    flag(' ', "disable-content-trust", Kind::Switch, "Skip image verification (default true)"),
    flag(' ', "platform", Kind::Text, "Set platform if server is multi-platform capable"),
    flag('q', "quiet", Kind::Switch, "Suppress verbose output"),
];

#[rustfmt::skip]
const IMAGE_PUSH: &[Flag] = &[
    flag('a', "all-tags", Kind::Switch, "Push all tags of an image to the repository"),
    flag(' ', "disable-content-trust", Kind::Switch, "Skip image signing (default true)"),
    flag(' ', "platform", Kind::Text, "Push a platform-specific manifest as a single-platform image to the registry.\nImage index won't be pushed, meaning that other manifests, including attestations won't be preserved.\n'os[/arch[/variant]]': Explicit platform (eg. linux/amd64)"),
    flag('q', "quiet", Kind::Switch, "Suppress verbose output"),
];

#[rustfmt::skip]
const IMAGE_RM: &[Flag] = &[
    flag('f', "force", Kind::Switch, "Force removal of the image"),
    flag(' ', "no-prune", Kind::Switch, "Do not delete untagged parents"),
    flag(' ', "platform", Kind::Strings, "Remove only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
];

#[rustfmt::skip]
const IMAGE_SAVE: &[Flag] = &[
    flag('o', "output", Kind::Text, "Write to a file, instead of STDOUT"),
    flag(' ', "platform", Kind::Text, "Save only the given platform variant. Formatted as \"os[/arch[/variant]]\" (e.g., \"linux/amd64\")"),
];

#[rustfmt::skip]
pub(super) const COMMANDS: &[Command] = &[
    Command { paths: &["image history", "history"], usage: &["[OPTIONS] IMAGE"], about: "Show the history of an image", flags: &[IMAGE_HISTORY], args: Args::Exact(1), interspersed: true },
    Command { paths: &["image import", "import"], usage: &["[OPTIONS] file|URL|- [REPOSITORY[:TAG]]"], about: "Import the contents from a tarball to create a filesystem image", flags: &[IMAGE_IMPORT], args: Args::Min(1), interspersed: true },
    Command { paths: &["image inspect"], usage: &["[OPTIONS] IMAGE [IMAGE...]"], about: "Display detailed information on one or more images", flags: &[IMAGE_INSPECT], args: Args::Min(1), interspersed: true },
    Command { paths: &["image load", "load"], usage: &["[OPTIONS]"], about: "Load an image from a tar archive or STDIN", flags: &[IMAGE_LOAD], args: Args::None, interspersed: true },
    Command { paths: &["image ls", "image list", "images"], usage: &["[OPTIONS] [REPOSITORY[:TAG]]"], about: "List images", flags: &[IMAGE_LS], args: Args::Max(1), interspersed: true },
    Command { paths: &["image prune"], usage: &["[OPTIONS]"], about: "Remove unused images", flags: &[IMAGE_PRUNE], args: Args::None, interspersed: true },
    Command { paths: &["image pull", "pull"], usage: &["[OPTIONS] NAME[:TAG|@DIGEST]"], about: "Download an image from a registry", flags: &[IMAGE_PULL], args: Args::Exact(1), interspersed: true },
    Command { paths: &["image push", "push"], usage: &["[OPTIONS] NAME[:TAG]"], about: "Upload an image to a registry", flags: &[IMAGE_PUSH], args: Args::Exact(1), interspersed: true },
    Command { paths: &["image rm", "image remove", "rmi"], usage: &["[OPTIONS] IMAGE [IMAGE...]"], about: "Remove one or more images", flags: &[IMAGE_RM], args: Args::Min(1), interspersed: true },
    Command { paths: &["image save", "save"], usage: &["[OPTIONS] IMAGE [IMAGE...]"], about: "Save one or more images to a tar archive (streamed to STDOUT by default)", flags: &[IMAGE_SAVE], args: Args::Min(1), interspersed: true },
    Command { paths: &["image tag", "tag"], usage: &["SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]"], about: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE", flags: &[], args: Args::Exact(2), interspersed: true },
];
