package access

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"image/png"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// NewTOTP is a second factor that is shown to a person once, to be taken over by an authenticator.
type NewTOTP struct {
	// Secret is what the authenticator keeps, base32.
	Secret string `json:"secret"`
	// URL is the same as an otpauth: address.
	URL string `json:"url"`
	// Image is that address as a QR code: a PNG, base64.
	Image string `json:"image"`
}

const (
	issuer   = "RedFlag"
	codeSpan = 30 // seconds, what every authenticator counts in (RFC 6238 §5.2)
	// codeDrift is by how many spans an authenticator's clock may be wrong.
	codeDrift = 1
	imageSide = 220 // pixels
)

// MakeTOTP makes a second factor for a person.
func MakeTOTP(name string) (NewTOTP, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: name})
	if err != nil {
		return NewTOTP{}, fmt.Errorf("make a second factor: %w", err)
	}
	picture, err := key.Image(imageSide, imageSide)
	if err != nil {
		return NewTOTP{}, fmt.Errorf("draw a second factor: %w", err)
	}
	var data bytes.Buffer
	if err := png.Encode(&data, picture); err != nil {
		return NewTOTP{}, err
	}
	return NewTOTP{Secret: key.Secret(), URL: key.URL(), Image: base64.StdEncoding.EncodeToString(data.Bytes())}, nil
}

// CheckTOTP says of which step a code is, counted from 1970; ok is false where it is of none that is near now.
func CheckTOTP(secret, code string, now time.Time) (step int64, ok bool) {
	for drift := int64(-codeDrift); drift <= codeDrift; drift++ {
		at := now.Add(time.Duration(drift*codeSpan) * time.Second)
		want, err := totp.GenerateCodeCustom(secret, at, totp.ValidateOpts{Period: codeSpan, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && subtle.ConstantTimeCompare([]byte(want), []byte(code)) == 1 {
			step, ok = at.Unix()/codeSpan, true
		}
	}
	return step, ok
}
