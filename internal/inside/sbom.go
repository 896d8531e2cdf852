package inside

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// Predicates of an in-toto statement that are SBOMs (github.com/in-toto/attestation, predicates).
const (
	predicate     = "in-toto.io/predicate-type"
	predicateSPDX = "https://spdx.dev/Document"
	predicateCDX  = "https://cyclonedx.org/bom"
)

// maxSBOM bounds one: those of images with 10,000 files have 20 MB.
const maxSBOM = 64 << 20

// declared reads the SBOM among what is attested of an image.
func (r Reader) declared(ctx context.Context, ref reference.Named, attested fleet.Digest) (Contents, error) {
	at, err := registry.Canonical(ref, attested)
	if err != nil {
		return Contents{}, err
	}
	content, err := r.Registry.Content(ctx, at)
	if err != nil {
		return Contents{}, err
	}
	for _, l := range content.Layers {
		if kind := l.Annotations[predicate]; kind == predicateSPDX || strings.HasPrefix(kind, predicateCDX) {
			data, err := r.small(ctx, ref, l)
			if err != nil {
				return Contents{}, fmt.Errorf("read its SBOM: %w", err)
			}
			return parseSBOM(data)
		}
	}
	return Contents{}, &fleet.Unknown{
		Because: "which packages are in it is not known: what is attested of it is no SBOM",
		Remedy:  "`--layers` reads its package database from its layers", Err: ErrUndeclared,
	}
}

// small fetches a blob that fits into memory.
func (r Reader) small(ctx context.Context, ref reference.Named, l registry.Layer) ([]byte, error) {
	f, err := temporary()
	if err != nil {
		return nil, err
	}
	defer discard(f)
	if err := r.Registry.Blob(ctx, ref, l.Digest, maxSBOM, f); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}

func temporary() (*os.File, error) { return os.CreateTemp("", "redflag-image-*") }

func discard(f *os.File) {
	f.Close()
	os.Remove(f.Name())
}

// statement is an in-toto statement about an SBOM: what of SPDX 2 and CycloneDX 1 we read.
type statement struct {
	Predicate struct {
		Packages []struct {
			References []struct {
				Type    string `json:"referenceType"`
				Locator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
		Components []component `json:"components"`
	} `json:"predicate"`
}

type component struct {
	PURL string `json:"purl"`
}

// parseSBOM reads the packages that an SBOM names by a package URL. Those of other managers than a distribution's are counted.
func parseSBOM(data []byte) (Contents, error) {
	var s statement
	if err := json.Unmarshal(data, &s); err != nil {
		return Contents{}, &fleet.Unknown{Because: "which packages are in it is not known: its SBOM cannot be read: " + fleet.Plain(err.Error()), Remedy: "`--layers` reads its package database", Err: err}
	}
	var urls []string
	for _, p := range s.Predicate.Packages {
		for _, r := range p.References {
			if r.Type == "purl" {
				urls = append(urls, r.Locator)
			}
		}
	}
	for _, c := range s.Predicate.Components {
		urls = append(urls, c.PURL)
	}
	slices.Sort(urls)
	return fromURLs(slices.Compact(urls))
}

func fromURLs(urls []string) (Contents, error) {
	found := Contents{By: BySBOM, Packages: []fleet.Package{}}
	others := map[string]int{}
	for _, text := range urls {
		p, system, err := fromURL(text)
		switch {
		case err != nil:
			others["that cannot be read"]++
		case p.Source == "":
			others["of "+system]++
		default:
			if p.Ecosystem == "" && ecosystem(cutRelease(system)) != "" {
				others[ofOthers]++
			}
			found.Packages = append(found.Packages, p)
			if found.Distribution == "" {
				found.Distribution = system
			}
		}
	}
	if len(found.Packages) == 0 && len(others) == 0 {
		return found, &fleet.Unknown{Because: "which packages are in it is not known: its SBOM names none", Remedy: "`--layers` reads its package database", Err: ErrUndeclared}
	}
	found.Unknown = notCompared(others)
	return found, nil
}

// maxKinds bounds the kinds of packages that are told: package URLs have some thirty, and an SBOM may make up any number.
const maxKinds = 40

// notCompared says in words which entries no distribution's advisories speak of.
func notCompared(others map[string]int) string {
	var words []string
	more := 0
	for _, kind := range slices.Sorted(maps.Keys(others)) {
		if len(words) < maxKinds {
			words = append(words, fmt.Sprintf("%d %s", others[kind], kind))
		} else {
			more += others[kind]
		}
	}
	if more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	if len(words) == 0 {
		return ""
	}
	return "packages that are not compared: " + strings.Join(words, ", ")
}
