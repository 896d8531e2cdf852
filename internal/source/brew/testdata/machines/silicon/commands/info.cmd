/opt/homebrew/bin/brew info --json=v2 --installed
