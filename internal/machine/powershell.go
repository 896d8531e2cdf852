package machine

import "regexp"

// scriptVariable carries a script to PowerShell. It is neither on the command line, which has a bound and is logged, nor in a file that others could replace
// or an execution policy could forbid.
const scriptVariable = "REDFLAG_SCRIPT"

// quotes end a text in single quotes: PowerShell takes typographic ones for the same (about_Quoting_Rules).
var quotes = regexp.MustCompile(`['\x{2018}-\x{201B}]`)

// PowerShell is a command that runs a script with words, which it has as $args. It is Windows PowerShell 5.1, which every supported Windows has.
func PowerShell(script string, words ...string) Command {
	run := "& ([ScriptBlock]::Create($env:" + scriptVariable + "))"
	for _, w := range words {
		run += " '" + quotes.ReplaceAllString(w, "$0$0") + "'"
	}
	return Command{
		Name: "powershell.exe", Args: []string{"-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command", run},
		Env: []string{scriptVariable + "=" + script},
	}
}
