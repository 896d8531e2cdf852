// Command redflag tells which updates are pending on this machine, of its packages and of its container images, and says
// "unknown, because" where it cannot tell. It needs no server, no account and no configuration.
package main

import (
	"os"

	"redflag/internal/command"
)

// version is set by the linker.
var version = "development"

func main() { os.Exit(command.Main(version, nil)) }
