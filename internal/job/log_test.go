package job

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"redflag/internal/fleet"
	"redflag/internal/machine"
	"redflag/internal/source"
)

func TestALogIsBoundedAndItsEndIsThere(t *testing.T) {
	m := folder(t)
	j, err := New(m, Job{Plan: fleet.Plan{Source: "apt"}})
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(m.Path(j.ID.Log()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	stop := watch(log)
	line := strings.Repeat("x", 99) + "\n"
	for range 3 * maxLog / len(line) {
		if _, err := log.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if _, err := log.WriteString("E: the reason\n"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(m.Path(j.ID.Log()))
	if err != nil || len(text) > maxLog+2*spareLog || !strings.HasSuffix(string(text), "E: the reason\n") || !strings.Contains(string(text), "# the log is cut here") {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	lines, err := NewReader(m, j.ID).Lines(1_000_000, true)
	if err != nil || len(lines) < maxLog/len(line) || len(lines) > maxLog/len(line)+1 {
		t.Errorf("%d lines are read, %v", len(lines), err)
	}
}

func TestLinesAreReadWholeHoweverTheyAreWritten(t *testing.T) {
	m := folder(t)
	j, err := New(m, Job{Plan: fleet.Plan{Source: "apt"}})
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(m, j.ID)
	for _, c := range []struct {
		write string
		ended bool
		want  string
	}{
		{"", false, ""}, {"one\ntw", false, "one"}, {"o\n", false, "two"}, {"1%\r2%\rthree\r\n", false, "three"},
		{strings.Repeat("y", 3*maxLine) + "\nafter\n", false, fleet.Plain(strings.Repeat("y", maxLine)) + " after"}, {"the end", false, ""}, {"", true, "the end"},
	} {
		f, err := os.OpenFile(m.Path(j.ID.Log()), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(c.write)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if got, err := r.Lines(100, c.ended); err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("after %.20q: %.60q, %v", c.write, got, err)
		}
	}
}

func FuzzParseStep(f *testing.F) {
	for _, seed := range []string{"dlstatus:1:20.5:Retrieving file 1 of 2", "pmstatus:curl:amd64:40.0:Unpacking curl", "pmerror:x:50:it fails", "pmstatus:a:b", "650/528862 install", "9/0", "pmconffile:/etc/x:1:'a' 'b' 1 1"} {
		f.Add(seed)
	}
	for line := range saidLines {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, parse := range []func(string) (Step, bool){ParseStep, parseSaid} {
			if s, ok := parse(line); ok && (s.Percent < -1 || s.Percent > 100 || s.Text != fleet.Plain(s.Text)) {
				t.Errorf("%q is %+v", line, s)
			}
		}
	})
}

func TestStepsAreReadFromWhatAptAndApkSay(t *testing.T) {
	for line, want := range map[string]Step{
		"dlstatus:1:20.5581:Retrieving file 1 of 2":       {Text: "Retrieving file 1 of 2", Percent: 20},
		"pmstatus:libc6:amd64:40.0000:Unpacking libc6":    {Text: "Unpacking libc6", Percent: 40},
		"pmstatus:toy:100.0:Installed toy":                {Text: "Installed toy", Percent: 100},
		"pmerror:toy:50.0:installed toy package post-ins": {Text: "failed: installed toy package post-ins", Percent: 50, Failed: true},
		"60063/120153":         {Text: "install", Percent: 49},
		"528862/528862 upkeep": {Text: "upkeep", Percent: 100},
	} {
		if got, ok := ParseStep(line); !ok || got != want {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if s, ok := ParseStep("pmstatus:toy:10:Preparing toy"); ok {
		t.Errorf("%+v", s)
	}
}

// saidLines are lines of dnf 4.14 and 4.23, of dnf 5.4.6 and of zypper 1.14.42, as they wrote them into a file.
var saidLines = map[string]Step{
	"  Upgrading        : demo-lib-1.2-1.el9.x86_64                             1/14 ":   {Text: "Upgrading: demo-lib-1.2-1.el9.x86_64", Percent: 7},
	"  Upgrading        : demo-with-a-very-long-package-name-for-wrapping-te    4/14 ":   {Text: "Upgrading: demo-with-a-very-long-package-name-for-wrapping-te", Percent: 28},
	"  Obsoleting       : demo-old-1.0-1.el9.noarch                            14/14 ":   {Text: "Obsoleting: demo-old-1.0-1.el9.noarch", Percent: 100},
	"(1/2): toy-conf-2.0-1.el9.noarch.rpm            2.1 MB/s | 6.4 kB     00:00    ":    {Text: "toy-conf-2.0-1.el9.noarch.rpm", Percent: 50},
	"[ 3/16] Upgrading demo-lib-0:1.2-1.el9. 100% |   9.7 MiB/s |  19.9 KiB |  00m00s":   {Text: "Upgrading demo-lib-0:1.2-1.el9.", Percent: 18},
	"(2/2) Installing: toy-held-1.5-1.el9.noarch [........done]":                         {Text: "Installing: toy-held-1.5-1.el9.noarch", Percent: 100},
	"Retrieving package toy-conf-2.0-1.el9.noarch (1/2),   6.3 KiB (   31   B unpacked)": {Text: "Retrieving package toy-conf-2.0-1.el9.noarch", Percent: 50},
	"In cache toy-held-1.5-1.el9.noarch.rpm (2/2),   6.2 KiB (   19   B unpacked)":       {Text: "In cache toy-held-1.5-1.el9.noarch.rpm", Percent: 100},
	"  Preparing        :                                                        1/1 ":   {},
	"  Running scriptlet: demo-broken-2.0-1.el9.noarch                          6/14 ":   {},
	"  Verifying        : demo-lib-1.2-1.el9.x86_64                             1/14 ":   {},
	"warning: /etc/demo-rpm.conf created as /etc/demo-rpm.conf.rpmnew":                   {},
	"The following 2 packages are going to be upgraded:":                                 {},
	"(9/2) Installing: x [done]": {},
}

func TestHowFarItIsIsReadFromWhatOthersSayInTheLog(t *testing.T) {
	for line, want := range saidLines {
		if got, ok := parseSaid(line); got != want || ok == (want == Step{}) {
			t.Errorf("%q: %+v", line, got)
		}
	}
	m := &machine.Machine{Root: t.TempDir()}
	const id = ID("20261125-120000-abcd")
	write := func(name, text string) {
		t.Helper()
		file := m.Path(path.Join(id.dir(), name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	p := NewProgress(m, id)
	if s := p.Last(); s != (Step{Percent: -1}) {
		t.Errorf("before there is a log: %+v", s)
	}
	log := "# dnf\n  Upgrading        : a-1-1.noarch   1/2 \n  Cleanup"
	write(source.LogFile, log)
	if got := p.More(); len(got) != 1 || got[0].Percent != 50 {
		t.Errorf("%+v", got)
	}
	write(source.LogFile, log+"          : a-0-1.noarch   2/2 \n")
	if got := p.Last(); got != (Step{Text: "Cleanup: a-0-1.noarch", Percent: 100}) {
		t.Errorf("%+v", got)
	}
	write(statusFile, "1/4\n")
	if got := p.Last(); got != (Step{Text: "install", Percent: 25}) {
		t.Errorf("a file of steps goes before the log: %+v", got)
	}
}
