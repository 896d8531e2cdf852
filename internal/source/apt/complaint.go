package apt

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

// reason says why a transaction did not succeed.
func (s Source) reason(m *machine.Machine, w source.Work, o fleet.Outcome) (because, remedy string) {
	if o.Succeeded() {
		return "", "" // what is there says all: whatever apt ended with, or whether somebody saw its end
	}
	otherwise := "apt-get did not come to its end"
	if code := s.ended(m, w); code >= 0 {
		otherwise = fmt.Sprintf("apt-get ended with code %d, and not all of it is done", code)
	}
	because, remedy = fleet.Explain(s.complaint(m, w, otherwise))
	if len(o.HalfDone) > 0 {
		remedy = "let dpkg finish: redflag repair"
	}
	return because, remedy
}

// ended gives the code that a job's tool ended with; -1 where nobody saw its end.
func (s Source) ended(m *machine.Machine, w source.Work) int {
	code := -1
	if err := w.Read(m, codeFile, &code); err != nil {
		return -1
	}
	return code
}

// reasons are what apt and dpkg say of a transaction that fails, in the C locale. The first that fits explains it.
var reasons = []failure{
	{regexp.MustCompile(`redflag: apt-hook: (` + vetoMark + `: .*)`), "$1", "plan again, and approve what is planned now"},
	{regexp.MustCompile(`Could not get lock \S+ It is held by process (\d+) \((.*)\)`), "$2 (process $1) is at work on the packages", "wait until it has ended, and try again"},
	{regexp.MustCompile(`Could not get lock \S+ It is held by process (\d+)`), "process $1 is at work on the packages", "wait until it has ended, and try again"},
	{regexp.MustCompile(`Unable to acquire the dpkg frontend lock`), "another program is at work on the packages", "wait until it has ended, and try again"},
	{regexp.MustCompile(`You don't have enough free space in (\S+)`), "there is not enough free space in $1", "free some: apt-get clean"},
	{regexp.MustCompile(`(?:No space left on device|cannot copy extracted data.*)`), "the disk is full", "free some space, and try again"},
	{regexp.MustCompile(`Version '([^']*)' for '([^']*)' was not found`), "$2 $1 is not on offer any more", "plan again"},
	{regexp.MustCompile(`Sub-process .*apt-hook.* returned an error code`), "this program could not be asked whether that is what was approved, so nothing was begun", "see that it is still where it was, and try again"},
	{regexp.MustCompile(`Failed to fetch (\S+)\s+(.*)`), "$1 cannot be fetched: $2", "try again, or choose another mirror"},
	{regexp.MustCompile(`dpkg: error processing (?:package|archive) (?:\S*/)?([^\s/_:]+)\S* \(.*\):\n\s*(.*)`), "dpkg fails with $1: $2", "see the log for what its script says"},
	{regexp.MustCompile(`E: (.*)`), "$1", "see the log"},
}

// complaint gives the reason that is in the log's last run.
func (s Source) complaint(m *machine.Machine, w source.Work, otherwise string) error {
	text, err := m.Tail(path.Join(w.Dir, source.LogFile), maxComplaint)
	if err != nil {
		return &fleet.Unknown{Because: otherwise + ", and its log cannot be read: " + fleet.Plain(err.Error())}
	}
	last := string(text)
	if i := strings.LastIndex(last, "\n# "); i >= 0 {
		last = last[i+1:]
		_, last, _ = strings.Cut(last, "\n")
	}
	for _, r := range reasons {
		if at := r.pattern.FindStringSubmatchIndex(last); at != nil {
			fill := func(t string) string { return fleet.Plain(string(r.pattern.ExpandString(nil, t, last, at))) }
			return &fleet.Unknown{Because: fill(r.because), Remedy: fill(r.remedy)}
		}
	}
	return &fleet.Unknown{Because: otherwise, Remedy: "see the log"}
}

// maxComplaint is how much of the end of a log is looked at for a reason.
const maxComplaint = 256 << 10
