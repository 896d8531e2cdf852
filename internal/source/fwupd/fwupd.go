// Package fwupd is the source of firmware, by the JSON of fwupdmgr. Firmware is installed by a person and by nobody else: what goes wrong there is mended with
// a screwdriver. So it is looked at, with what its makers say that it mends, and every plan of it is refused with the command that a person would type.
package fwupd

import (
	"cmp"
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

// Source is fwupd. It implements source.Installer, source.Refresher and source.Lister.
type Source struct{}

// Name implements source.Source.
func (Source) Name() string { return "fwupd" }

// program is what is asked.
const program = "fwupdmgr"

// Present implements source.Source.
func (Source) Present(m *machine.Machine) bool {
	for _, dir := range []string{"/usr/bin/", "/usr/local/bin/", "/bin/"} {
		if info, err := m.Stat(dir + program); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// device is a part of the machine that has firmware.
type device struct {
	Name     string    `json:"Name"`
	ID       string    `json:"DeviceId"`
	Vendor   string    `json:"Vendor"`
	Version  string    `json:"Version"`
	Flags    []string  `json:"Flags"`
	State    any       `json:"UpdateState"`
	Releases []release `json:"Releases"`
}

// release is a version on offer.
type release struct {
	Version string   `json:"Version"`
	Remote  string   `json:"RemoteId"`
	Summary string   `json:"Summary"`
	Urgency string   `json:"Urgency"` // some versions of fwupd leave it out
	Size    int64    `json:"Size"`
	Flags   []string `json:"Flags"`
	Issues  []string `json:"Issues"`
}

// pending gives the versions after the installed one, the newest first, and whether a person has to approve of the newest before.
func (d device) pending() (list []release, blocked bool) {
	for _, r := range d.Releases {
		if slices.Contains(r.Flags, "is-downgrade") || r.Version == d.Version || r.Version == "" {
			continue
		}
		list = append(list, r)
	}
	return list, len(list) > 0 && slices.ContainsFunc(list[0].Flags, func(f string) bool { return strings.HasPrefix(f, "blocked-") })
}

// maxIssues bounds what one version claims to mend: the longest real list has some dozens.
const maxIssues = 1000

// isFlaw tells the names of vulnerabilities from makers' own numbers of advisories.
var isFlaw = regexp.MustCompile(`^(?:CVE-[0-9]{4}-[0-9]{4,}|GHSA(?:-[0-9a-z]{4}){3})$`)

// notices gives what makers say that is mended on the way from the installed version to the newest: an advisory for each version that names an issue. It has the
// maker's number, and where there is none the device's name and the version.
func (d device) notices(name string, list []release) []fleet.Notice {
	var all []fleet.Notice
	for _, r := range list {
		n := fleet.Notice{By: fleet.Plain(d.Vendor), Security: true, Severity: fleet.Severity(r.Urgency), FixedIn: fleet.Plain(r.Version), Reboot: slices.Contains(d.Flags, "needs-reboot")}
		for _, id := range r.Issues[:min(len(r.Issues), maxIssues)] {
			switch id = fleet.Plain(id); {
			case isFlaw.MatchString(id):
				n.CVEs = append(n.CVEs, id)
			case n.ID == "":
				n.ID = id
			}
		}
		if n.ID == "" && len(n.CVEs) == 0 {
			continue
		}
		slices.Sort(n.CVEs)
		n.CVEs = slices.Compact(n.CVEs)
		n.ID = cmp.Or(n.ID, fleet.Plain(name+" "+r.Version))
		all = append(all, n)
	}
	return all
}

// byHand is why firmware is not installed by a program.
const byHand = "firmware is installed by a person"

// command is what that person types.
func (d device) command() string {
	if deviceID.MatchString(d.ID) {
		return "fwupdmgr update " + d.ID
	}
	return "fwupdmgr update"
}

// deviceID is a SHA-1.
var deviceID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// update gives the form that people see; ok where there is one.
func (d device) update(name string) (u fleet.Update, ok bool) {
	list, blocked := d.pending()
	if len(list) == 0 {
		return u, false
	}
	to := list[0]
	u = fleet.Update{
		Name: name, From: fleet.Plain(d.Version), To: fleet.Plain(to.Version), Origin: fleet.Plain(to.Remote), Size: max(0, to.Size), Notices: d.notices(name, list),
		Summary: d.remarks(to), Blocked: fleet.KeptBack, BlockedBecause: byHand + ": " + d.command() + d.needs(),
	}
	u.Security = len(u.Notices) > 0
	if blocked {
		u.Blocked, u.BlockedBecause = fleet.Held, "it was not approved of here: fwupdmgr set-approved-firmware"
	}
	return u, true
}

// needs says what the installation needs.
func (d device) needs() string {
	var words []string
	for _, f := range []struct{ flag, words string }{
		{"require-ac", "it needs external power"}, {"needs-reboot", "it needs a reboot"}, {"needs-shutdown", "the machine must be switched off after it"},
		{"needs-bootloader", "the device must be put into its bootloader by hand"}, {"locked", "the device is locked: fwupdmgr unlock"},
	} {
		if slices.Contains(d.Flags, f.flag) {
			words = append(words, f.words)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// remarks is a line about the device and the version.
func (d device) remarks(to release) string {
	text := fleet.Plain(d.Vendor)
	if s := fleet.Plain(to.Summary); s != "" {
		text = strings.TrimPrefix(text+": "+s, ": ")
	}
	if to.Urgency != "" {
		text += "; urgency " + fleet.Plain(to.Urgency)
	}
	return text
}

// names gives what devices are called: by their names, and where several have one, by what tells them apart.
func names(list []device) []string {
	called := make([]string, len(list))
	count := map[string]int{}
	for i, d := range list {
		called[i] = cmp.Or(fleet.Plain(d.Name), fleet.Plain(d.ID))
		count[called[i]]++
	}
	for i, d := range list {
		if count[called[i]] > 1 {
			called[i] += " " + fleet.Plain(d.ID[:min(8, len(d.ID))])
		}
	}
	return called
}

// Packages implements source.Lister: the firmware of each device that tells its version.
func (s Source) Packages(ctx context.Context, m *machine.Machine) ([]fleet.Package, error) {
	list, err := devices(ctx, m, "get-devices")
	if err != nil {
		return nil, err
	}
	called := names(list)
	packages := []fleet.Package{}
	for i, d := range list {
		if d.Version != "" {
			packages = append(packages, fleet.Package{Source: s.Name(), Name: called[i], Version: fleet.Plain(d.Version)})
		}
	}
	return packages, nil
}

// Scan implements source.Source. The daemon answers everybody, and looks at what was fetched last.
func (s Source) Scan(ctx context.Context, m *machine.Machine) (fleet.Finding, error) {
	var f fleet.Finding
	all, err := devices(ctx, m, "get-devices")
	if err != nil {
		return f, err
	}
	list, err := devices(ctx, m, "get-updates")
	if err != nil {
		return f, err
	}
	for _, d := range list {
		if !slices.ContainsFunc(all, func(o device) bool { return o.ID == d.ID }) {
			all = append(all, d) // it came between the two questions
		}
	}
	var silent []string
	called := names(all)
	for i, d := range all {
		if d.State == "needs-reboot" || d.State == "pending" {
			f.Notes = append(f.Notes, called[i]+": new firmware waits for a reboot")
		}
		at := slices.IndexFunc(list, func(o device) bool { return o.ID == d.ID })
		if at < 0 {
			continue
		}
		if u, ok := list[at].update(called[i]); ok {
			f.Updates = append(f.Updates, u)
			if !u.Security {
				silent = append(silent, u.Name)
			}
		}
	}
	if len(silent) > 0 {
		f.SecurityUnknown = "the makers of some firmware do not say what it mends: " + strings.Join(silent, ", ")
	}
	if len(f.Updates) == 0 && !slices.ContainsFunc(all, func(d device) bool { return slices.Contains(d.Flags, "updatable") }) {
		return f, nil // whatever firmware there is, none of it is for this machine
	}
	f.AsOf, err = fetched(ctx, m)
	return f, err
}

// remote is where firmware comes from.
type remote struct {
	ID      string `json:"Id"`
	Kind    string `json:"Kind"`
	Enabled bool   `json:"Enabled"`
	Cache   string `json:"FilenameCache"`
	Mtime   int64  `json:"Mtime"`
}

// staleAfter is how old what is known may be: fwupd's own timer fetches it every day or so, and firmware does not come daily.
const staleAfter = 30 * 24 * time.Hour

// fetched says when the oldest of the remotes was fetched. What was never fetched knows of no firmware, and says nothing.
func fetched(ctx context.Context, m *machine.Machine) (time.Time, error) {
	var said struct {
		Remotes []remote `json:"Remotes"`
	}
	if err := ask(ctx, m, "get-remotes", &said); err != nil {
		return time.Time{}, err
	}
	var at time.Time
	var never []string
	asked := false
	for _, r := range said.Remotes {
		if !r.Enabled || r.Kind == "directory" {
			continue
		}
		asked = true
		when := time.Unix(r.Mtime, 0).UTC()
		if r.Mtime <= 0 {
			info, err := m.Stat(r.Cache)
			if err != nil {
				never = append(never, fleet.Plain(r.ID))
				continue
			}
			when = info.ModTime().UTC()
		}
		if r.Kind == "download" && (at.IsZero() || when.Before(at)) {
			at = when
		}
	}
	switch age := m.Now().Sub(at); {
	case !asked:
		return at, &fleet.Unknown{Because: "no remote is enabled that firmware would come from", Remedy: "fwupdmgr enable-remote lvfs"}
	case len(never) > 0:
		return at, &fleet.Unknown{Because: "nothing was fetched yet from the remotes " + strings.Join(never, ", "), Remedy: "sudo redflag scan --refresh"}
	case !at.IsZero() && age > staleAfter:
		return at, &fleet.Unknown{Because: fmt.Sprintf("what firmware there is was last fetched %d days ago", int(age.Hours()/24)), Remedy: "sudo redflag scan --refresh"}
	}
	return at, nil
}

// devices asks for a list of devices.
func devices(ctx context.Context, m *machine.Machine, what string) ([]device, error) {
	var said struct {
		Devices []device `json:"Devices"`
	}
	if err := ask(ctx, m, what, &said); err != nil {
		return nil, err
	}
	return said.Devices, nil
}

// askLimit bounds one question: the daemon looks at every device first.
const askLimit = 2 * time.Minute

func ask(ctx context.Context, m *machine.Machine, what string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	result, err := m.Run(ctx, machine.Command{Name: program, Args: []string{"--json", what}})
	if errors.Is(err, machine.ErrNotInstalled) {
		return &fleet.Unknown{Because: "fwupd cannot be asked: fwupdmgr is not there", Remedy: "install fwupd again", Err: err}
	}
	if err != nil {
		return unanswered(err.Error(), what, err)
	}
	return parse(result, what, into)
}

func unanswered(why, what string, err error) error {
	return &fleet.Unknown{Because: fleet.Plain("fwupd cannot be asked: " + why), Remedy: "see what `fwupdmgr " + what + "` says", Err: err}
}

// nothing is the code of FwupdError for what has nothing to do (fwupd-error.h). Versions before 2.0 say so where there is no device, or no update.
const nothing = 9

// parse reads an answer. Where there is nothing, into stays as it is.
func parse(result machine.Result, what string, into any) error {
	var failed struct {
		Error *struct {
			Domain  string `json:"Domain"`
			Code    int    `json:"Code"`
			Message string `json:"Message"`
		} `json:"Error"`
	}
	if err := json.Unmarshal(result.Stdout, &failed); err != nil {
		words := strings.Join(strings.Fields(string(result.Stdout)+" "+string(result.Stderr)), " ")
		return unanswered(fmt.Sprintf("it ended with code %d, and said no JSON: %s", result.Code, words), what, err)
	}
	if e := failed.Error; e != nil {
		if strings.Contains(e.Domain, "dbus") || strings.HasPrefix(e.Message, "Failed to connect to daemon") {
			return &fleet.Unknown{Because: fleet.Plain("fwupd's daemon does not answer: " + e.Message), Remedy: "see `systemctl status fwupd`"}
		}
		if e.Code == nothing && e.Domain == "FwupdError" {
			return nil
		}
		return unanswered(e.Message, what, nil)
	}
	if result.Code != 0 {
		return unanswered(fmt.Sprintf("it ended with code %d", result.Code), what, nil)
	}
	var fields map[string]json.RawMessage
	key := map[string]string{"get-devices": "Devices", "get-updates": "Devices", "get-remotes": "Remotes"}[what]
	if err := json.Unmarshal(result.Stdout, &fields); err != nil || key != "" && fields[key] == nil {
		return unanswered("its answer has no "+key, what, err)
	}
	if err := json.Unmarshal(result.Stdout, into); err != nil {
		return unanswered(err.Error(), what, err)
	}
	return nil
}
