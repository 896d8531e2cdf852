plutil -convert xml1 -o - /Library/Receipts/InstallHistory.plist
