// Command idle is what containers run in tests: nothing. Told so, it ends with a code, writes a file, or does not listen to signals.
package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "well":
			return
		case "ill":
			os.Stdout.WriteString("I feel ill")
			os.Exit(1)
		case "crash":
			os.Stderr.WriteString("first I worked\nthen I could not go on\n")
			time.Sleep(100 * time.Millisecond)
			os.Exit(3)
		case "write": // a file, what into it
			if os.WriteFile(os.Args[2], []byte(os.Args[3]), 0o600) != nil {
				os.Exit(4)
			}
			return
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
			time.Sleep(time.Hour)
		}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	select {
	case <-stop:
	case <-time.After(time.Hour):
	}
}
