// Command redflag tells which updates are pending: on this machine, of its packages and of its container images, with no server, no
// account and no configuration; and on all machines of a fleet, whose server it is as well. It says "unknown, because" where it
// cannot tell.
package main

import (
	"os"

	"redflag/internal/command"
)

// version is set by the linker.
var version = "development"

func main() { os.Exit(command.Main(version, fleetCommands)) }
