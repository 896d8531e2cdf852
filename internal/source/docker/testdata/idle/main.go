// Command idle is what containers run in tests: nothing. Told so, it ends with a code.
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
			time.Sleep(300 * time.Millisecond)
			os.Exit(3)
		}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	select {
	case <-stop:
	case <-time.After(time.Hour):
	}
}
