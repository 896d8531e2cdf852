// Package fleet holds the nouns that every other package speaks of: Host (a machine), Update (a newer version on
// offer), Finding (all that one source of updates said in one scan) and Check (what became of one image). They are
// plain values with one JSON form, from the scanner to the page. A question has three answers here and never two:
// yes, no, and unknown with a reason; see [Unknown].
package fleet

import "time"

// Scan is one look at one host: what `redflag scan --format json` prints and what `redflag list` reads again.
type Scan struct {
	Host      Host      `json:"host"`
	ScannedAt time.Time `json:"scanned_at"`
	Findings  []Finding `json:"findings"`
	// Advisories says what is known of advisories here; absent where nobody has looked.
	Advisories *Advisories `json:"advisories,omitempty"`
	// Vulnerabilities are the flaws that the host has now, the most urgent first, whether or not an update is pending; absent where nobody has looked. Advisories.Vulnerable
	// counts all, and this may have the most urgent alone.
	Vulnerabilities []Vulnerability `json:"vulnerabilities,omitempty"`
}

// State says whether a finding is whole.
type State string

// The two states of a finding. Outdated or up to date is what the list of an OK finding says.
const (
	// OK: Updates is whole. What is absent from it is no longer on offer.
	OK State = "ok"
	// Uncertain: something could not be learnt, and Because says what. Updates holds what was seen all the same: each of them
	// is true, but the list may lack some, so an empty one does not mean up to date.
	Uncertain State = "unknown"
)

// Finding is all that one source said in one scan.
type Finding struct {
	// Source is the source's name: apt, docker, podman.
	Source string `json:"source"`
	State  State  `json:"state"`
	// Because says why the state is unknown; empty when it is ok.
	Because string `json:"because"`
	// Remedy is what a person can do about it; empty when there is nothing to mend.
	Remedy string `json:"remedy"`
	// ScannedAt is when the source was looked at.
	ScannedAt time.Time `json:"scanned_at"`
	// AsOf is the age of the knowledge, not of the scan: for a package manager when its oldest list was published,
	// for images when the oldest answer was given by a registry. Absent when nothing is known.
	AsOf time.Time `json:"as_of,omitzero"`
	// SecurityUnknown says why it is not known which of the updates are for security: nobody publishes advisories here. It is empty where that is known; where
	// it is not, an update that is not marked may be for security all the same.
	SecurityUnknown string `json:"security_unknown,omitempty"`
	// Notes are what a person should know beside the updates, each one a sentence: what nobody cares for any more, who else installs updates here. They are no doubt
	// about the list.
	Notes []string `json:"notes,omitempty"`
	// Updates is sorted by name, architecture, kind and level; never nil in a finding that source.Scan returns.
	Updates []Update `json:"updates"`
	// Checks says for every image what became of it. Package sources have none.
	Checks []Check `json:"checks"`
}

// Update is one newer version on offer. Packages fill the first part; an image's update has an [ImageUpdate] beside it.
type Update struct {
	Source string `json:"source"`
	// Name is the package's name, or the image's reference in its familiar form with a tag (nginx:1.25).
	Name string `json:"name"`
	// Arch is the package's or image's architecture in its source's own word (amd64, all).
	Arch string `json:"arch"`
	// From and To are package versions, or digests for an image (tags for one of kind version).
	From string `json:"from"`
	To   string `json:"to"`
	// Security: a security version lies in (From, To], whichever archive To itself comes from.
	Security bool `json:"security"`
	// Origin says who offers it: Debian-Security/bookworm-security, docker.io.
	Origin string `json:"origin"`
	// Size is what must be downloaded, in bytes; 0 when it is not known.
	Size int64 `json:"size"`
	// Summary is one line about the package; empty when its source gives none.
	Summary string `json:"summary"`
	// Blocked says why an ordinary upgrade would not install it now; empty when it would.
	Blocked Block `json:"blocked"`
	// BlockedBecause is the detail: the pin, the percentage, the package in the way.
	BlockedBecause string `json:"blocked_because,omitempty"`
	// StaleSince is set on an update that is remembered and that later scans could neither confirm nor rule out: when the
	// first of them was. See [Finding.After].
	StaleSince time.Time `json:"stale_since,omitzero"`
	// Build is the source package behind it; absent where its source has none.
	Build *Build `json:"build,omitempty"`
	// Claims are what its changelog says that it mends; absent where none was read.
	Claims *Claims `json:"claims,omitempty"`
	// Notices are the advisories about versions in (From, To] that its own manager has; absent where it has none about them, or publishes none at all.
	Notices []Notice `json:"notices,omitempty"`
	// Advice is what advisories say of it; absent where there is no advisory data.
	Advice *Advice `json:"advice,omitempty"`

	*ImageUpdate
}

// Block is the reason why an update on offer would not be installed now.
type Block string

// Reasons for a block.
const (
	Held     Block = "held"      // a person put it on hold
	Pinned   Block = "pinned"    // a preference keeps a newer version from being the candidate
	Phased   Block = "phased"    // the distribution has not yet rolled it out to this host
	KeptBack Block = "kept back" // installing it needs a removal, a new package or something that is itself blocked
)

// Digest names the content of a manifest or an index, as a registry does: sha256:… . It is never comparable with an [ImageID].
type Digest string

// ImageID names an image on an engine: the digest of its config on the classic image store, of its manifest or index on
// containerd's.
type ImageID string

// Kind tells apart what an update of an image means.
type Kind string

// Kinds of image update.
const (
	Rebuild  Kind = "rebuild"  // the tag has other content for this platform now
	Recreate Kind = "recreate" // newer content for the tag is already here, the container does not run it
	Version  Kind = "version"  // another tag of the same repository has a higher version
)

// Level is how far a version update goes.
type Level string

// Levels of a version update. The best one of each is offered.
const (
	Patch Level = "patch"
	Minor Level = "minor"
	Major Level = "major"
)

// ImageUpdate is what an update of an image carries beside the common part.
type ImageUpdate struct {
	Kind Kind `json:"kind"`
	// Level is set for kind version only.
	Level Level `json:"level,omitempty"`
	// FromVersion and ToVersion are the versions behind the tags, from the images' labels; empty where they name none.
	FromVersion string `json:"from_version"`
	ToVersion   string `json:"to_version"`
	// FromCreated and ToCreated are when the images were built; absent where they do not say.
	FromCreated time.Time `json:"from_created,omitzero"`
	ToCreated   time.Time `json:"to_created,omitzero"`
	// Platform is os/architecture[/variant] of the image that runs.
	Platform string `json:"platform"`
	// Containers names those that would change, sorted.
	Containers []string `json:"containers"`
	// Changes says in what the newer image runs otherwise than the one that runs; absent where it does not, or where that is not known.
	Changes []ImageChange `json:"changes,omitempty"`
	// SourceURL and ReleaseNotes are links, http or https, from the newer image's labels.
	SourceURL    string `json:"source_url,omitempty"`
	ReleaseNotes string `json:"release_notes,omitempty"`
	// Note is a caution for a person: an older build, low confidence.
	Note string `json:"note,omitempty"`
}

// ImageChange is something that a container takes over from its image, and that the newer image has otherwise.
type ImageChange struct {
	// What is entrypoint, command, user, working directory, ports or volumes.
	What string `json:"what"`
	From string `json:"from"`
	To   string `json:"to"`
}

// Check is what became of one image that containers run: one reference on one platform.
type Check struct {
	// Name is the image's reference in its familiar form.
	Name       string   `json:"name"`
	Containers []string `json:"containers"`
	Platform   string   `json:"platform,omitempty"`
	Answer     Answer   `json:"answer"`
	// Because is the reason of an unknown, and for the other answers a remark where there is something to say.
	Because string `json:"because"`
	// Remedy is what a person can do about it.
	Remedy string `json:"remedy,omitempty"`
	// VersionsUnknown says why it is not known whether the repository has tags of newer versions; empty when it is.
	VersionsUnknown string `json:"versions_unknown,omitempty"`
	// CheckedAt is when the registry gave the answer, which may come from the cache. Absent when none was asked.
	CheckedAt time.Time `json:"checked_at,omitzero"`
	// AnsweredBy is the registry host that answered: a mirror's where a mirror did.
	AnsweredBy string `json:"answered_by,omitempty"`
}

// Answer is what is known of an image against its registry.
type Answer string

// Answers of a check.
const (
	Current      Answer = "current" // the tag's content for this platform is what runs
	Outdated     Answer = "update"  // it is not: the finding has an update with the same name
	ByDigest     Answer = "pinned"  // the reference names a digest, so there is nothing newer of it
	LocalOnly    Answer = "local"   // built or imported here; no registry has it
	Gone         Answer = "gone"    // the registry has no such tag any more
	CannotAnswer Answer = "unknown" // and Because says why
)
