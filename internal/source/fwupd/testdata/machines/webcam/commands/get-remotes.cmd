fwupdmgr --json get-remotes
