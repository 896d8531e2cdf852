// Command redflag-agent is redflag without a server: the small program that a fleet's hosts run. Its commands are the same, so on a host
// it may be installed under the name redflag.
package main

import (
	"os"

	"redflag/internal/command"
)

// version is set by the linker.
var version = "development"

func main() { os.Exit(command.Main(version, nil)) }
