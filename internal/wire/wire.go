// Package wire is what agents and a server say to each other: the messages, how they are signed, and the agent's side of the
// conversation. The agent calls and the server answers; nothing listens on a host. A check-in says with a few digests that
// nothing has changed, and costs next to nothing; what has changed goes up as a report. Fields are added, never renamed, and a
// message of every released level is read for ever.
package wire

import (
	"time"

	"redflag/internal/fleet"
)

// Level is how much an agent or a server knows to say. It rises by one with every change that the other side must know of.
//
//	1  enrolment, check-in, reports, orders to scan and to refresh
//	2  orders to plan, to install, to undo, to hold, to restart services, to reboot, to repair and to cancel; progress
//	3  of packages, the distribution whose advisories speak of them, and the stream of a module; a server of level 2 refuses such a list
const Level = 3

// Paths of the agents' door.
const (
	PathEnroll   = "/agent/v1/enroll"
	PathCheckIn  = "/agent/v1/check-in"
	PathReport   = "/agent/v1/report"
	PathOrders   = "/agent/v1/orders"
	PathResults  = "/agent/v1/results"
	PathProgress = "/agent/v1/progress"
	PathLeave    = "/agent/v1/leave"
)

// Bounds of a message, which both sides hold to.
const (
	// MaxBody bounds a message as it travels, and MaxReport what a report may grow to when it is unpacked: 20,000 packages are
	// 3 MB.
	MaxBody   = 4 << 20
	MaxReport = 32 << 20
)

// Enroll asks to join a fleet. It is signed with the key that it brings, with that key as the key ID.
type Enroll struct {
	Level int    `json:"level"`
	Token string `json:"token"`
	// Key is the host's public key (Ed25519, 32 bytes).
	Key []byte `json:"key"`
	// Machine is a hash of the machine's own ID, by which the same host enrolled again is the same host; empty where it has none.
	Machine string `json:"machine"`
	// Agent is the program's version.
	Agent string     `json:"agent"`
	Host  fleet.Host `json:"host"`
}

// Enrolled is the answer to it.
type Enrolled struct {
	Level int          `json:"level"`
	Host  fleet.HostID `json:"host"`
	// Server is the key that signs the fleet's orders (Ed25519, 32 bytes); the agent believes no other from now on.
	Server []byte `json:"server"`
	// Interval is how long to wait between check-ins, in seconds.
	Interval int `json:"interval_seconds"`
}

// Digests are short digests of what a host last said, by part: host, packages, containers, and finding/SOURCE.
type Digests map[string]string

// Leave takes the host that says it out of the fleet, with all that is known of it.
type Leave struct {
	Level int `json:"level"`
}

// CheckIn says that a host is there, and what it would report. Names are short because it is sent most of all.
type CheckIn struct {
	Level int `json:"l"`
	// Session is random, and another one in every run of an agent: a session that speaks after it was followed by another is a
	// second machine with the same key.
	Session string `json:"n"`
	// State is the digest of all digests: see [Digests.State]. Where it is the one that the server knows, there is nothing to send.
	State string `json:"t"`
	// Digests are sent when the server has said that it does not know the state.
	Digests Digests `json:"d,omitempty"`
	// Scanned is when each source was last looked at, and AsOf how old its knowledge is, in unix seconds: they change while
	// nothing else does.
	Scanned map[string]int64 `json:"s,omitempty"`
	AsOf    map[string]int64 `json:"a,omitempty"`
}

// CheckedIn is the answer to it where something is to be sent; where nothing is, the answer is empty (204).
type CheckedIn struct {
	// Send names the parts that the server does not know as they are now, or is [SendDigests] alone.
	Send []string `json:"send"`
}

// SendDigests asks for a check-in with all digests.
const SendDigests = "digests"

// Report is what has changed on a host. A part that is absent has not changed.
type Report struct {
	Level int `json:"level"`
	// Session is that of the check-ins. Sequence rises with every report in it, so that one which comes late or twice changes
	// nothing.
	Session    string          `json:"session"`
	Sequence   int64           `json:"sequence"`
	Agent      string          `json:"agent,omitempty"`
	Host       *fleet.Host     `json:"host,omitempty"`
	Findings   []fleet.Finding `json:"findings,omitempty"`
	Packages   *PackageChange  `json:"packages,omitempty"`
	Containers *ContainerSet   `json:"containers,omitempty"`
	// Absent names the sources that this host does not have any more.
	Absent  []string `json:"absent,omitempty"`
	Digests Digests  `json:"digests"`
}

// PackageChange is what became of a host's packages since the list with the digest Base; an empty Base begins anew.
type PackageChange struct {
	Base    string      `json:"base,omitempty"`
	Added   PackageList `json:"added"`
	Removed PackageList `json:"removed,omitempty"`
}

// ContainerSet is all containers of a host.
type ContainerSet struct {
	All []fleet.Container `json:"all"`
}

// Reported is the answer to a report: what is saved is saved, and Send names what the server could not use, such as a change to a
// list that it does not have.
type Reported struct {
	Send []string `json:"send,omitempty"`
}

// Order asks one thing of a host: exactly one of the pointers is set. It travels as a [SignedOrder].
type Order struct {
	ID        OrderID      `json:"id"`
	Host      fleet.HostID `json:"host"`
	ExpiresAt time.Time    `json:"expires_at"`
	Scan      *Scan        `json:"scan,omitempty"`
	Plan      *Planning    `json:"plan,omitempty"`
	Install   *Install     `json:"install,omitempty"`
	Hold      *Hold        `json:"hold,omitempty"`
	Restart   *Restart     `json:"restart,omitempty"`
	Reboot    *Reboot      `json:"reboot,omitempty"`
	Repair    *Repair      `json:"repair,omitempty"`
	Cancel    *Cancel      `json:"cancel,omitempty"`
}

// Planning asks what an installation would do, or the way back from one. Nothing is changed by it. The answer has the plans.
type Planning struct {
	Selection fleet.Selection `json:"selection"`
	// Undo is the order whose installation is to be taken back; 0 where a selection is planned.
	Undo OrderID `json:"undo,omitempty"`
}

// Install has exactly these plans carried out, each by its source, if the host plans the same at that time and its policy lets it.
type Install struct {
	Plans []fleet.Plan `json:"plans"`
	After fleet.After  `json:"after"`
	// Undoes is the order that this one takes back; 0 for all others.
	Undoes OrderID `json:"undoes,omitempty"`
}

// Hold keeps updates of packages from being installed, or lets them be installed again.
type Hold struct {
	Names []string `json:"names"`
	Hold  bool     `json:"hold"`
}

// Restart restarts services: those that are named, or all that run replaced files, but for those that must not be restarted unasked.
type Restart struct {
	Names []string `json:"names,omitempty"`
}

// Reboot reboots the host. It has succeeded when the host is back.
type Reboot struct {
	// IfNeeded leaves a host alone that needs none.
	IfNeeded bool `json:"if_needed,omitempty"`
}

// Repair lets the package manager finish what was interrupted.
type Repair struct{}

// Cancel ends an order that has not begun to change the host: one that waits, or downloads.
type Cancel struct {
	Order OrderID `json:"order"`
}

// OrderID names an order for ever.
type OrderID int64

// Scan asks for a scan now, and a report of it.
type Scan struct {
	// Refresh fetches package lists first, where the host permits it.
	Refresh bool `json:"refresh,omitempty"`
	// Sources limits it; empty means all.
	Sources []string `json:"sources,omitempty"`
}

// Wait asks for orders, and to be kept waiting for so long where there are none.
type Wait struct {
	Level   int    `json:"l"`
	Session string `json:"n"`
	Seconds int    `json:"w"`
}

// LongestWait bounds how long a server keeps a request waiting: less than proxies do before they give up.
const LongestWait = 50 * time.Second

// Orders is what a waiting request returns with: all that were not begun, oldest first. An order is given again until the host has
// said what became of it, so a lost answer loses nothing; the host knows by its ID that it has it already.
type Orders struct {
	Orders []SignedOrder `json:"orders"`
}

// State is how far an order is.
type State string

// States of an order. A host says Held, Running, Succeeded, Failed, RolledBack and Cancelled, the server the others.
const (
	Waiting    State = "waiting"     // the host has not fetched it
	Held       State = "held"        // the host has it, and waits: for its policy's hours, or for another job
	Running    State = "running"     // the host is at it
	Succeeded  State = "succeeded"   // all of it is done
	Failed     State = "failed"      // it is not, or not all of it
	RolledBack State = "rolled back" // it failed, and what it had changed was put back
	Cancelled  State = "cancelled"   // it was ended before it changed anything
	Expired    State = "expired"     // the host did not fetch it, or could not begin it, in time
	Lost       State = "unknown"     // it was begun, and the host never said what became of it, or cannot tell
)

// Ended says whether nothing more is to come.
func (s State) Ended() bool { return s != Waiting && s != Held && s != Running }

// Result is what became of an order, or that it has begun.
type Result struct {
	Session string  `json:"session"`
	Order   OrderID `json:"order"`
	State   State   `json:"state"`
	// Because says why it failed or waits, and Remedy what a person can do about it.
	Because string    `json:"because,omitempty"`
	Remedy  string    `json:"remedy,omitempty"`
	At      time.Time `json:"at"`
	Answer  *Answer   `json:"answer,omitempty"`
}

// Answer is what a host has to say of an order beside how it ended.
type Answer struct {
	// Plans answer an order to plan.
	Plans []fleet.Plan `json:"plans"`
	// Jobs are what was installed, or was to be.
	Jobs []Job `json:"jobs"`
}

// Job is one plan that was to be carried out.
type Job struct {
	// ID is the host's own, by which `redflag log` shows it there.
	ID      string        `json:"id"`
	Source  string        `json:"source"`
	State   string        `json:"state"`
	Outcome fleet.Outcome `json:"outcome"`
}

// Progress is what the tools say while an order is carried out. Lines are numbered within the order from 0, so that a batch which comes late,
// twice or after a gap loses and doubles nothing: the server keeps only the line that it waits for and those after it.
type Progress struct {
	Session string  `json:"session"`
	Order   OrderID `json:"order"`
	// Step says in a few words what is being done, and Percent how far it is; -1 where that is not known.
	Step    string `json:"step"`
	Percent int    `json:"percent"`
	// From is the number of the first of the lines. Without lines it only asks.
	From  int      `json:"from"`
	Lines []string `json:"lines,omitempty"`
}

// Progressed is the answer to it.
type Progressed struct {
	// Next is the number of the line that the server waits for.
	Next int `json:"next"`
}

// Bounds of progress.
const (
	// MaxBatch bounds the lines of one message, and MaxLines those of an order: a distribution upgrade has 10,000. What comes after that stays on the
	// host, and the last line says so.
	MaxBatch = 1000
	MaxLines = 50_000
)
