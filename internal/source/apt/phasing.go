package apt

import "strings"

// phased says whether Ubuntu's phasing defers a version on the machine with this id, exactly as apt decides it (apt-pkg/upgrade.cc):
// a die with the faces 0 to 100, seeded with the source package, its version and the machine's id, shows more than the percentage.
func phased(source, version, machineID string, percentage int) bool {
	return roll(source+"-"+version+"-"+machineID) > percentage
}

// roll is std::uniform_int_distribution<unsigned>(0, 100) on std::minstd_rand seeded by std::seed_seq, as libstdc++ has them.
func roll(seed string) int {
	const (
		modulus    = 1<<31 - 1
		multiplier = 48271
		faces      = 101
		// scale divides the generator's range of 1 to modulus-1 into equal shares; what is left over is rolled again.
		scale = (modulus - 2) / faces
	)
	x := uint64(seedWord(seed)) % modulus
	if x == 0 {
		x = 1
	}
	for {
		x = x * multiplier % modulus
		if face := (x - 1) / scale; face < faces {
			return int(face)
		}
	}
}

// seedWord is the fourth of the four words that std::seed_seq::generate gives (C++ standard, [rand.util.seedseq]): the one that a linear
// congruential engine of 32 bits is seeded with.
func seedWord(seed string) uint32 {
	const n = 4
	var v [n]uint32
	for i := range v {
		v[i] = 0x8b8b8b8b
	}
	s := len(seed)
	const p, q = 1, 2 // t is 1, p is (n-t)/2, q is p+t
	m := max(s+1, n)
	for k := range m {
		r := 1664525 * mix(v[k%n]^v[(k+p)%n]^v[(k+n-1)%n])
		r2 := r
		switch {
		case k == 0:
			r2 += uint32(s)
		case k <= s:
			r2 += uint32(k%n) + uint32(int8(seed[k-1]))
		default:
			r2 += uint32(k % n)
		}
		v[(k+p)%n] += r
		v[(k+q)%n] += r2
		v[k%n] = r2
	}
	for k := m; k < m+n; k++ {
		r := 1566083941 * mix(v[k%n]+v[(k+p)%n]+v[(k+n-1)%n])
		r2 := r - uint32(k%n)
		v[(k+p)%n] ^= r
		v[(k+q)%n] ^= r2
		v[k%n] = r2
	}
	return v[3]
}

func mix(x uint32) uint32 { return x ^ x>>27 }

// phasing is what a machine's configuration says about phased updates.
type phasing struct {
	machineID     string
	always, never bool
	// policy makes deferred versions lose to what is installed when the candidate is chosen, instead of keeping them back later.
	policy bool
}

func (c *config) phasing() phasing {
	const always, never = "Always-Include-Phased-Updates", "Never-Include-Phased-Updates"
	return phasing{
		always: c.flag("APT::Get::"+always, c.flag("Update-Manager::"+always, false)),
		never:  c.flag("APT::Get::"+never, c.flag("Update-Manager::"+never, false)),
		policy: c.flag("APT::Get::Phase-Policy", false),
	}
}

// defers says whether a version waits for its turn on this machine. Without a machine's id, and in a chroot, nothing does.
func (p phasing) defers(v *version) bool {
	switch {
	case v.phased >= 100 || p.always:
		return false
	case p.never:
		return true
	case p.machineID == "":
		return false
	}
	return phased(v.source, v.sourceVersion, p.machineID, v.phased)
}

// firstLine gives what stands before the first line's end.
func firstLine(data []byte) string {
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}
