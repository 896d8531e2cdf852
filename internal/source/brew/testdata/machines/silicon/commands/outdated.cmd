/opt/homebrew/bin/brew outdated --json=v2 --greedy
