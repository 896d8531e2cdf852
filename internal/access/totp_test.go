package access

import (
	"strings"
	"testing"
	"time"
)

// RFC 6238, appendix B: the secret is "12345678901234567890"; its codes have eight digits, of which the last six are ours.
func TestACodeIsThatOfTheStandard(t *testing.T) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // the standard's own
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1234567890: "005924", 20000000000: "353130"} {
		step, ok := CheckTOTP(secret, code, time.Unix(at, 0))
		if !ok || step != at/30 {
			t.Errorf("at %d: step %d, %v", at, step, ok)
		}
		if step, ok := CheckTOTP(secret, code, time.Unix(at+30, 0)); !ok || step != at/30 {
			t.Errorf("30 seconds after %d: step %d, %v", at, step, ok)
		}
		if _, ok := CheckTOTP(secret, code, time.Unix(at+61, 0)); ok {
			t.Errorf("a code of %d is good a minute later", at)
		}
	}
	for _, bad := range []string{"", "28708", "0287082", "28708x"} {
		if _, ok := CheckTOTP(secret, bad, time.Unix(59, 0)); ok {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, ok := CheckTOTP("!", "287082", time.Unix(59, 0)); ok {
		t.Error("no secret, and a code of it is taken")
	}
}

func TestASecondFactorIsShownInThreeWays(t *testing.T) {
	n, err := MakeTOTP("anna & co")
	if err != nil || len(n.Secret) < 32 || !strings.Contains(n.URL, n.Secret) || !strings.HasPrefix(n.URL, "otpauth://totp/RedFlag:anna") || !strings.HasPrefix(n.Image, "iVBOR") {
		t.Error(n, err)
	}
}
