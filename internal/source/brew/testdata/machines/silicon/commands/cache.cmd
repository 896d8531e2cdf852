/opt/homebrew/bin/brew --cache
