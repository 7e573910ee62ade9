"""The register of chat groups: owners, hand-overs, files of groups, groups without an owner."""
