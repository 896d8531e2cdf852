fwupdmgr --json get-updates
