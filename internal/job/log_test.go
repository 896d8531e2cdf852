package job

import (
	"os"
	"strings"
	"testing"

	"redflag/internal/fleet"
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
	f.Fuzz(func(t *testing.T, line string) {
		if s, ok := ParseStep(line); ok && (s.Percent < -1 || s.Percent > 100 || s.Text != fleet.Plain(s.Text)) {
			t.Errorf("%q is %+v", line, s)
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
