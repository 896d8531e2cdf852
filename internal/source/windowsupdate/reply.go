package windowsupdate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"redflag/internal/fleet"
	"redflag/internal/machine"
)

// reply is a line that one of the scripts prints.
type reply struct {
	Format int `json:"format"`
	// Error is the HRESULT for which the script, or one update of it, failed; Message is Windows' own, in its language.
	Error   string `json:"error"`
	Message string `json:"message"`

	// Of a search: its OperationResultCode, and what was found.
	Code     int          `json:"code"`
	WSUS     string       `json:"wsus"`
	Searched string       `json:"searched"`
	Updates  list[update] `json:"updates"`
	Warnings list[reply]  `json:"warnings"`

	// Of what is done: the update, that it begins, and what became of it; or that all of it is done.
	Update string `json:"update"`
	Begins string `json:"begins"`
	Title  string `json:"title"`
	Reboot bool   `json:"reboot"`
	Done   bool   `json:"done"`
}

// OperationResultCode (wuapi.h).
const (
	succeeded         = 2
	succeededSomewhat = 3 // with errors
)

// update is an update as WUA has it (IUpdate5).
type update struct {
	ID         string       `json:"id"`
	Revision   int          `json:"revision"`
	Title      string       `json:"title"`
	Type       int          `json:"type"`
	KBs        list[string] `json:"kbs"`
	CVEs       list[string] `json:"cves"`
	Severity   string       `json:"severity"`
	Categories list[string] `json:"categories"`
	// Size is a DECIMAL in COM, and may be printed with a fraction.
	Size          float64 `json:"size"`
	Hidden        bool    `json:"hidden"`
	Optional      bool    `json:"optional"`
	Installed     bool    `json:"installed"`
	Downloaded    bool    `json:"downloaded"`
	EULA          bool    `json:"eula"`
	Reboot        int     `json:"reboot"`
	Input         bool    `json:"input"`
	Uninstallable bool    `json:"uninstallable"`
	// Waits: it is installed once the machine was rebooted.
	Waits bool `json:"waits"`
}

// driver is UpdateType's word for one (wuapi.h); rebootNever and rebootAlways are InstallationRebootBehavior's, between which is "can request".
const (
	driver       = 2
	rebootNever  = 0
	rebootAlways = 1
)

// Categories by which updates are classified, as WSUS and Windows Update identify them; their names are translated.
const (
	securityUpdates = "0fa1201d-4330-4fa8-ae9b-b877473b6441"
	upgrades        = "3689bdc8-b205-4af4-8d4a-a63924c5e9d5"
	drivers         = "ebfc1fc5-71a4-4f7b-9aca-3b9a503104a0"
	driverSets      = "77835c8d-62a7-41f5-82ad-f28d1af1e3b1"
)

// list reads what ConvertTo-Json makes of a list. Windows PowerShell writes some as {"value":[…],"Count":2}, one of a single element may be that alone, and an
// empty one null.
type list[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T]) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	var many []T
	switch {
	case string(data) == "null":
		*l = nil
		return nil
	case data[0] == '[':
		if err := json.Unmarshal(data, &many); err != nil {
			return err
		}
		*l = many
		return nil
	}
	var wrapped struct {
		Value json.RawMessage `json:"value"`
		Count *int            `json:"Count"`
	}
	if data[0] == '{' && json.Unmarshal(data, &wrapped) == nil && wrapped.Count != nil && len(wrapped.Value) > 0 && wrapped.Value[0] == '[' {
		return l.UnmarshalJSON(wrapped.Value)
	}
	var one T
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*l = []T{one}
	return nil
}

// ask has Windows search.
func ask(ctx context.Context, m *machine.Machine, limit time.Duration, words ...string) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	lines, err := run(ctx, m, searchScript, words...)
	if err != nil {
		return reply{}, err
	}
	r := lines[len(lines)-1]
	if r.Code != succeeded && r.Code != succeededSomewhat {
		return reply{}, &fleet.Unknown{Because: fmt.Sprintf("Windows' search for updates did not come to its end (code %d)", r.Code), Remedy: "try again; see `redflag doctor`"}
	}
	return r, nil
}

// run runs a script to its end and gives its answers, of which there is one at least.
func run(ctx context.Context, m *machine.Machine, script string, words ...string) ([]reply, error) {
	result, err := m.Run(ctx, command(script, words...))
	if errors.Is(err, machine.ErrNotInstalled) {
		return nil, &fleet.Unknown{Because: "Windows Update cannot be asked: Windows PowerShell is not there", Remedy: "repair Windows: it is part of it", Err: err}
	}
	if err != nil {
		return nil, &fleet.Unknown{Because: "Windows Update cannot be asked: " + fleet.Plain(err.Error()), Remedy: "see whether the service wuauserv runs", Err: err}
	}
	lines, err := parse(result.Stdout)
	if err == nil {
		err = lines[len(lines)-1].failure()
	} else {
		err = silent(err, result)
	}
	return lines, err
}

func command(script string, words ...string) machine.Command {
	return machine.PowerShell(common+script, words...)
}

// silent says why a script has said nothing that can be read. PowerShell's error identifiers are not translated.
func silent(err error, r machine.Result) error {
	said := string(r.Stderr)
	for _, policy := range []string{"ConstrainedLanguage", "InConstrainedLanguage", "NotSupportedInConstrained"} {
		if strings.Contains(said, policy) {
			return &fleet.Unknown{
				Because: "Windows Update cannot be asked: this machine's policy lets PowerShell run in its constrained language only", Remedy: "allow RedFlag in AppLocker or App Control", Err: err,
			}
		}
	}
	because := fmt.Sprintf("Windows Update cannot be asked: PowerShell has said nothing that can be read (code %d)", r.Code)
	if words := fleet.Plain(said); words != "" {
		because += ": " + words
	}
	return &fleet.Unknown{Because: because, Remedy: "see whether PowerShell runs: powershell -NoProfile -Command 1", Err: err}
}

// format is that of the lines that the scripts print.
const format = 1

var errNothing = errors.New("no answer")

// parse reads the lines that a script has printed, among others that PowerShell may print itself.
func parse(out []byte) ([]reply, error) {
	var lines []reply
	for line := range bytes.Lines(out) {
		line = bytes.TrimSpace(line)
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		var r reply
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, err
		}
		if r.Format == format {
			lines = append(lines, r)
		}
	}
	if len(lines) == 0 {
		return nil, errNothing
	}
	return lines, nil
}

// failure is why a whole script failed; nil where it did not.
func (r reply) failure() error {
	if r.Update != "" || r.Error == "" || hresult(r.Error) == 0 {
		return nil
	}
	because, remedy := explain(r.Error, r.Message)
	return &fleet.Unknown{Because: "Windows Update cannot be asked: " + because, Remedy: remedy}
}

// doubts are what Windows could not find out in a search.
func (r reply) doubts() error {
	var problems []error
	for _, w := range r.Warnings {
		because, remedy := explain(w.Error, w.Message)
		problems = append(problems, &fleet.Unknown{Because: "Windows could not search everywhere: " + because, Remedy: remedy})
	}
	if r.Code == succeededSomewhat && len(problems) == 0 {
		return &fleet.Unknown{Because: "Windows could not search everywhere, and does not say why", Remedy: "redflag scan --refresh"}
	}
	return errors.Join(problems...)
}

// origin says where updates come from.
func (r reply) origin() string {
	if r.WSUS != "" {
		return fleet.Plain("WSUS " + r.WSUS)
	}
	return "Microsoft"
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func (u update) valid() bool { return guid.MatchString(strings.ToLower(u.ID)) && u.Revision >= 0 }

// key is what an update is: GUID:REVISION.
func (u update) key() string { return fmt.Sprintf("%s:%d", strings.ToLower(u.ID), u.Revision) }

var article = regexp.MustCompile(`^(?i:KB)?([0-9]{4,10})$`)

// articles are those of Microsoft's knowledge base: KB5031455.
func (u update) articles() []string {
	var names []string
	for _, kb := range u.KBs {
		if found := article.FindStringSubmatch(strings.TrimSpace(kb)); found != nil {
			names = append(names, "KB"+found[1])
		}
	}
	return names
}

var cveID = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,}$`)

// flaws are the CVEs that an update mends, as far as Microsoft names them in it.
func (u update) flaws() []string {
	var ids []string
	for _, id := range u.CVEs {
		if id = strings.ToUpper(strings.TrimSpace(id)); cveID.MatchString(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// security: it is classified so, or Microsoft rates what it mends.
func (u update) security() bool {
	return slices.ContainsFunc(u.Categories, func(c string) bool { return strings.EqualFold(c, securityUpdates) }) || fleet.Severity(u.Severity) != "" || len(u.flaws()) > 0
}

// names gives what each update is called: by its article, with the beginning of its ID where several have the same one, and by its ID where it has none.
func (r reply) names() []string {
	count := map[string]int{}
	names := make([]string, len(r.Updates))
	for i, u := range r.Updates {
		names[i] = strings.ToLower(u.ID)
		if kbs := u.articles(); len(kbs) > 0 {
			names[i] = kbs[0]
		}
		count[names[i]]++
	}
	for i, u := range r.Updates {
		if count[names[i]] > 1 && u.valid() {
			names[i] += "-" + strings.ToLower(u.ID)[:8]
		}
	}
	return names
}

func unreadable(err error) error {
	return &fleet.Unknown{Because: "what Windows Update says cannot be read: " + fleet.Plain(err.Error()), Remedy: "report it with the output of `redflag doctor`", Err: err}
}
