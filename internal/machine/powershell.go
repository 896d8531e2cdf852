package machine

import "strings"

// scriptVariable carries a script to PowerShell. It is neither on the command line, which has a bound and is logged, nor in a file that others could replace
// or an execution policy could forbid.
const scriptVariable = "REDFLAG_SCRIPT"

// PowerShell is a command that runs a script with words, which it has as $args. It is Windows PowerShell 5.1, which every supported Windows has.
func PowerShell(script string, words ...string) Command {
	run := "& ([ScriptBlock]::Create($env:" + scriptVariable + "))"
	for _, w := range words {
		run += " '" + strings.ReplaceAll(w, "'", "''") + "'"
	}
	return Command{
		Name: "powershell.exe", Args: []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command", run},
		Env: []string{scriptVariable + "=" + script},
	}
}
