package docker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/distribution/reference"

	"redflag/internal/fleet"
	"redflag/internal/registry"
)

// judge finds the answer for each subject.
type judge struct {
	reg *registry.Client
	now func() time.Time
}

// verdict is what became of a subject.
type verdict struct {
	answer          fleet.Answer
	because, remedy string
	updates         []fleet.Update
	platform        registry.Platform
	checkedAt       time.Time
	answeredBy      string
	// own: what runs came from no registry, so that tags of its name elsewhere are not its newer ones.
	own bool
	// err is why something could not be learnt. It is set beside the answer unknown, and beside the answer update where newer content
	// is here already and whether there is yet newer is not known.
	err error
}

// unknown is the third answer.
func unknown(err error) *verdict {
	because, remedy := fleet.Explain(err)
	return &verdict{answer: fleet.CannotAnswer, because: because, remedy: remedy, err: err}
}

const (
	// maxJudged is how many subjects are looked at at once; how many requests that makes is the registry client's to bound.
	maxJudged = 8
	// maxStale is how old an answer may be that stands in for one that a registry refuses for the moment.
	maxStale = 24 * time.Hour
)

// judgeAll answers for every subject, in their order. All tags are asked for at once.
func (j *judge) judgeAll(ctx context.Context, subjects []*subject) []verdict {
	verdicts := make([]verdict, len(subjects))
	var open []int
	var refs []reference.NamedTagged
	for i, s := range subjects {
		switch {
		case s.settled != nil:
			verdicts[i] = *s.settled
		case s.onlyHere():
			verdicts[i] = j.guard(func() *verdict { return j.judgeHere(ctx, s) })
		default:
			open = append(open, i)
			refs = append(refs, s.ref)
		}
	}
	tags := j.reg.ResolveAll(ctx, refs)
	each(len(open), func(n int) {
		s := subjects[open[n]]
		verdicts[open[n]] = j.guard(func() *verdict { return j.judge(ctx, s, tags[n]) })
	})
	return verdicts
}

// each calls do for 0 to n-1, a few at a time, and waits.
func each(n int, do func(i int)) {
	places := make(chan struct{}, maxJudged)
	var wg sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			do(i)
		})
	}
	wg.Wait()
}

// guard keeps a panic over one image's foreign bytes from losing the others' answers.
func (j *judge) guard(do func() *verdict) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = *unknown(&fleet.Unknown{
				Because: fmt.Sprintf("a defect in RedFlag: %v", p), Remedy: "report it with the output of `redflag doctor`",
				Err: fmt.Errorf("%s", debug.Stack()),
			})
		}
	}()
	return *do()
}

// onlyHere says whether neither of a subject's images came from a registry. None is then asked: it would learn a private name,
// and might have something else under it.
func (s *subject) onlyHere() bool {
	if s.here == nil {
		return false
	}
	if s.store != classic {
		return s.isOwnName()
	}
	return len(s.here.digests) == 0 && len(s.image.digests) == 0
}

// judgeHere answers for a container whose tag now means another image that was built here as well.
func (j *judge) judgeHere(ctx context.Context, s *subject) *verdict {
	if !j.moved(ctx, s) {
		return s.finish(&verdict{answer: fleet.LocalOnly, because: becauseBuilt})
	}
	return s.finish(&verdict{answer: fleet.Outdated, because: becauseHere, updates: []fleet.Update{j.recreate(ctx, s)}, own: true})
}

const (
	becauseBuilt = "built or imported here"
	becauseHere  = "newer content is here already, and the container does not run it"
	becauseTag   = "the tag has other content now"
	becauseGone  = "the registry has no such tag any more"
	// The registry may have cleaned up since the image was pulled, so this is not said more firmly.
	becauseOther = "its registry has an image of this name and does not know this one: it was built or imported here, or deleted there"
)

// judge answers for a subject whose tag was asked for.
func (j *judge) judge(ctx context.Context, s *subject, tag registry.Resolved) *verdict {
	v, err := j.compare(ctx, s, tag)
	if err != nil {
		v = j.withoutRegistry(ctx, s, err)
	}
	if tag.Digest != "" {
		v.checkedAt, v.answeredBy = tag.CheckedAt, tag.Host
	}
	return s.finish(v)
}

// finish adds what is known beside an answer: the platform where it was learnt, what makes the container special, whose it is.
func (s *subject) finish(v *verdict) *verdict {
	if s.platform != (registry.Platform{}) {
		v.platform = s.platform
	} else if d, ok := s.engine.already(s.image.id); ok {
		v.platform = d.platform
	}
	tended := ""
	if len(s.tended) > 0 {
		tended = "where " + autoUpdateTimer + " is on, Podman updates by itself: " + strings.Join(few(s.tended, maxNames), ", ")
	}
	v.because = sentence(v.because, s.remark, s.owner)
	for i := range v.updates {
		v.updates[i].Note = sentence(v.updates[i].Note, s.owner, tended)
	}
	return v
}

// compare answers by comparing what runs with what the tag points to.
func (j *judge) compare(ctx context.Context, s *subject, tag registry.Resolved) (*verdict, error) {
	stale, err := j.usable(tag)
	if err != nil {
		return j.refused(ctx, s, err)
	}
	runs, err := j.against(ctx, s, s.image, s.manifest, tag.Answer)
	if err != nil {
		return nil, err
	}
	moved := j.moved(ctx, s)
	if runs.same {
		elsewhere := ""
		if moved {
			elsewhere = "the tag means another image on this host, and the container runs the registry's"
		}
		return &verdict{answer: fleet.Current, because: sentence(runs.remark, elsewhere, stale)}, nil
	}
	pulled, err := j.cameFrom(ctx, s)
	switch {
	case err != nil:
		return nil, err
	case moved:
		return j.behind(ctx, s, tag.Answer, runs, pulled, stale)
	case !pulled:
		return &verdict{answer: fleet.LocalOnly, because: becauseOther}, nil
	}
	return &verdict{answer: fleet.Outdated, because: sentence(becauseTag, stale), updates: []fleet.Update{j.rebuild(ctx, s, runs)}}, nil
}

// behind answers for a container that does not run what its tag means on this host: it can be made anew at once, and what it would
// run then may itself be outdated.
func (j *judge) behind(ctx context.Context, s *subject, tag registry.Answer, runs standing, pulled bool, stale string) (*verdict, error) {
	v := &verdict{answer: fleet.Outdated, because: sentence(becauseHere, stale), updates: []fleet.Update{j.recreate(ctx, s)}, own: !pulled}
	waits, err := j.against(ctx, s, s.here, "", tag)
	if err != nil {
		return nil, err
	}
	if !waits.same && pulled {
		v.because = sentence(becauseHere, "and the tag has yet other content now", stale)
		v.updates = append(v.updates, j.rebuild(ctx, s, runs))
	}
	return v, nil
}

// usable says whether a resolved tag can be judged by, and why it may be old.
func (j *judge) usable(tag registry.Resolved) (stale string, err error) {
	if tag.Err == nil {
		return "", nil
	}
	age := j.now().Sub(tag.CheckedAt)
	if !errors.Is(tag.Err, registry.ErrLimited) || tag.Digest == "" || age > maxStale {
		return "", tag.Err
	}
	because, _ := fleet.Explain(tag.Err)
	return fmt.Sprintf("as of %s ago: %s", spell(age), because), nil
}

// spell gives a time span in hours and minutes: 3h5m.
func spell(d time.Duration) string {
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}

// refused answers where the registry has nothing to compare with.
func (j *judge) refused(ctx context.Context, s *subject, err error) (*verdict, error) {
	gone := errors.Is(err, registry.ErrGone)
	if !gone && !errors.Is(err, registry.ErrDenied) {
		return nil, err
	}
	pulled, errOrigin := j.cameFrom(ctx, s)
	moved := j.moved(ctx, s)
	switch {
	case moved && (gone || errOrigin == nil && !pulled):
		v := &verdict{answer: fleet.Outdated, because: becauseHere, updates: []fleet.Update{j.recreate(ctx, s)}, own: !pulled}
		if pulled {
			v.because = sentence(becauseHere, becauseGone)
		}
		return v, nil
	case errors.Is(errOrigin, registry.ErrDenied):
		because, remedy := fleet.Explain(err)
		return nil, &fleet.Unknown{Because: because + " (or the image was built here, which cannot be told from that)", Remedy: remedy, Err: err}
	case errOrigin != nil:
		return nil, errOrigin
	case !pulled:
		return &verdict{answer: fleet.LocalOnly, because: becauseBuilt + ": its registry has no such image"}, nil
	case gone:
		return &verdict{answer: fleet.Gone, because: becauseGone}, nil
	}
	return nil, err
}

// withoutRegistry answers from what is on this host alone: that newer content is here already remains true.
func (j *judge) withoutRegistry(ctx context.Context, s *subject, err error) *verdict {
	v := unknown(err)
	if j.moved(ctx, s) {
		v.answer = fleet.Outdated
		v.updates = []fleet.Update{j.recreate(ctx, s)}
		v.because = sentence(becauseHere, "whether the registry has yet other content is not known: "+v.because)
	}
	return v
}
