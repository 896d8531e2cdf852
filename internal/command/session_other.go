//go:build !unix && !windows

package command

import "os/exec"

func ownSession(*exec.Cmd) {}
