//go:build !unix

package command

import "os/exec"

func ownSession(*exec.Cmd) {}
