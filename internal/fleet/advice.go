package fleet

import (
	"cmp"
	"strings"
	"time"
)

// Advice is what advisories say of an update, as far as they are known here. Absent where there is no advisory data: that is not the same as no
// vulnerabilities.
type Advice struct {
	// Bucket says when to install it, and Because why.
	Bucket  Bucket `json:"bucket"`
	Because string `json:"because"`
	// Mends are the flaws that the installed version has and the new one has not; Remains those that the new one has too. What is to be mended first
	// stands first.
	Mends   []Flaw `json:"mends"`
	Remains []Flaw `json:"remains"`
	// Unknown says why the lists may lack something; empty where they do not, as far as the feeds go.
	Unknown string `json:"unknown,omitempty"`
}

// Bucket is when an update should be installed.
type Bucket string

// The four buckets.
const (
	ActNow     Bucket = "act now"     // it mends what is exploited
	ThisWindow Bucket = "this window" // it mends what is likely or bad
	Routine    Bucket = "routine"     // it mends the rest
	Track      Bucket = "track"       // it mends nothing that is known
)

// Rank is a bucket's place in the order of what to do first, from 0; without one it is the last.
func (b Bucket) Rank() int {
	for i, known := range []Bucket{ActNow, ThisWindow, Routine, Track} {
		if b == known {
			return i
		}
	}
	return 4
}

// Evidence is why we say that an update mends a flaw.
type Evidence string

// Kinds of evidence, the best first.
const (
	ByAdvisory  Evidence = "advisory"  // the distribution's own tracker or advisory
	ByOSV       Evidence = "osv"       // OSV's record of the distribution
	ByChangelog Evidence = "changelog" // the package's changelog claims it
)

// Flaw is one vulnerability as it stands on one package of a host.
type Flaw struct {
	// ID is the CVE, or the advisory's own name where it has none.
	ID string `json:"id"`
	// Advisories name the records that say so: DSA-5532-1, ALSA-2025:0147.
	Advisories []string `json:"advisories,omitempty"`
	Evidence   Evidence `json:"evidence"`
	// Severity is critical, high, medium, low or negligible; empty where nobody says. SeverityBy is the vendor who says so, or CVSS.
	Severity   string `json:"severity,omitempty"`
	SeverityBy string `json:"severity_by,omitempty"`
	// CVSS is the base score, 0 where there is none; Vector is what it was computed from.
	CVSS   float64 `json:"cvss,omitempty"`
	Vector string  `json:"cvss_vector,omitempty"`
	// EPSS is the probability that it is exploited in the next 30 days, and Percentile how many of all have no higher one; both 0 where it is not known.
	EPSS       float64 `json:"epss,omitempty"`
	Percentile float64 `json:"epss_percentile,omitempty"`
	// Exploited is set where it is known to be.
	Exploited *Exploited `json:"exploited,omitempty"`
	// FixedIn is the first version without it; empty where there is none.
	FixedIn string `json:"fixed_in,omitempty"`
	// Remark is the vendor's, for instance why there is no fix. WontFix: the vendor has said that there will be none.
	Remark  string `json:"remark,omitempty"`
	WontFix bool   `json:"wont_fix,omitempty"`
	// Suppressed is set where somebody has decided that it does not count, until a day.
	Suppressed *Suppressed `json:"suppressed,omitempty"`
}

// Exploited is what CISA's catalogue of known exploited vulnerabilities says of one.
type Exploited struct {
	// Added and Due are days: since when it is listed, and until when US agencies must have mended it.
	Added time.Time `json:"added"`
	Due   time.Time `json:"due,omitzero"`
	// Ransomware: it is known to be used in ransomware campaigns.
	Ransomware bool `json:"ransomware"`
}

// Suppressed is somebody's decision that a flaw does not count.
type Suppressed struct {
	Owner  string `json:"owner"`
	Reason string `json:"reason"`
	// Status is not_affected or accepted.
	Status string `json:"status"`
	// Until is the last day on which it holds.
	Until time.Time `json:"until"`
}

// Advisories is what is known of advisories on the host that was scanned.
type Advisories struct {
	// Unknown says what is missing, in words; empty where nothing is.
	Unknown string `json:"unknown,omitempty"`
	// Feeds are those that were asked.
	Feeds []AdvisoryFeed `json:"feeds"`
	// Support says how long the host's release is cared for; empty where that is not known. Unsupported: not any more.
	Support     string `json:"support,omitempty"`
	Unsupported bool   `json:"unsupported"`
	// Vulnerable counts the flaws that the host has now; absent where that is not known. Unmatched is how many installed packages no feed speaks of, because they are not
	// the distribution's own, because nobody knows whether they are, or because there is no feed about it.
	Vulnerable *Buckets `json:"vulnerable,omitempty"`
	Unmatched  int      `json:"unmatched,omitempty"`
	// MemoryUnknown says why it is not known, or not of all, which flaws are mended on the disk and still in the memory of something that runs.
	MemoryUnknown string `json:"memory_unknown,omitempty"`
	// Expired are suppressions that have run out, in words: what they hid counts again.
	Expired []string `json:"expired,omitempty"`
}

// AdvisoryFeed is one feed in one line.
type AdvisoryFeed struct {
	Name string `json:"name"`
	// AsOf is when its publisher made it, or where it does not say, when it was imported.
	AsOf time.Time `json:"as_of"`
}

// Build is the source package behind an update, which advisories go by.
type Build struct {
	// Ecosystem is the distribution's release in OSV's words (Debian:12): whose advisories speak of both versions. Absent where one of them is
	// not the distribution's own.
	Ecosystem string `json:"ecosystem,omitempty"`
	// Package is the source package; From and To are its versions behind what is installed and what is on offer.
	Package string `json:"package"`
	From    string `json:"from"`
	To      string `json:"to"`
	// Module is the stream of a modular RPM that both versions are of, as name:stream; empty where they are of none. Versions of different streams say
	// nothing of each other.
	Module string `json:"module,omitempty"`
}

// Notice is an advisory as an update's own manager has it, with the update: in a repository's metadata (updateinfo.xml), or from who publishes the
// update. It is the vendor's own word, and needs no feed.
type Notice struct {
	// ID is its publisher's: RHSA-2026:1001, KB5031455.
	ID string `json:"id"`
	// By is who publishes it, in a word or two; empty where that is not known.
	By string `json:"by,omitempty"`
	// Security: it is one for security.
	Security bool `json:"security"`
	// Severity is the publisher's: critical, high, medium, low or negligible; empty where it gives none.
	Severity string `json:"severity,omitempty"`
	// CVEs are those that it mends, sorted; an advisory for security may name none.
	CVEs []string `json:"cves,omitempty"`
	// FixedIn is the version that it is about; empty where it names none.
	FixedIn string `json:"fixed_in,omitempty"`
	// Reboot: it takes effect with the next start.
	Reboot bool `json:"reboot,omitempty"`
}

// Severity gives a vendor's word for a severity in ours: critical, high, medium, low or negligible; empty for what is none, as "not yet assigned". Red Hat
// and SUSE say important and moderate; Debian marks with an asterisk what it has not looked at itself.
func Severity(word string) string {
	switch word = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(word), "*")); word {
	case "important":
		return "high"
	case "moderate":
		return "medium"
	case "unimportant", "none", "minimal":
		return "negligible"
	case "critical", "high", "medium", "low", "negligible":
		return word
	}
	return ""
}

// Claims are the flaws that a package's changelog says were mended between two versions.
type Claims struct {
	// IDs are CVEs and GHSAs in the order of the changelog.
	IDs []string `json:"ids"`
	// Entries is how many entries of the changelog lie between the versions.
	Entries int `json:"entries"`
	// From says where the changelog was read: in the package's file.
	From string `json:"from"`
}

// CompareAdvice puts what to do first first: by bucket, then by the first flaw that each mends.
func CompareAdvice(a, b *Advice) int {
	rank := func(x *Advice) int {
		if x == nil {
			return Bucket("").Rank()
		}
		return x.Bucket.Rank()
	}
	if c := cmp.Compare(rank(a), rank(b)); c != 0 || a == nil || b == nil {
		return c
	}
	return cmp.Or(cmp.Compare(b.Likeliest(), a.Likeliest()), cmp.Compare(len(b.Mends), len(a.Mends)))
}

// Likeliest is the highest probability among what is mended and not suppressed.
func (a *Advice) Likeliest() float64 {
	most := 0.0
	for _, f := range a.Mends {
		if f.Suppressed == nil {
			most = max(most, f.EPSS)
		}
	}
	return most
}
