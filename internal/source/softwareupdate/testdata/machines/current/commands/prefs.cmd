plutil -convert xml1 -o - /Library/Preferences/com.apple.SoftwareUpdate.plist
