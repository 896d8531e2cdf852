softwareupdate --list --no-scan
