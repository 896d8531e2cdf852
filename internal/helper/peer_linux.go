package helper

import (
	"errors"
	"net"
	"syscall"
)

// peer gives the user at the other end of a local connection, as the kernel knows it (SO_PEERCRED, unix(7)).
func peer(conn net.Conn) (uid int, err error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return -1, errors.New("this is no local connection")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	uid = -1
	var failure error
	err = raw.Control(func(fd uintptr) {
		cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
		if err != nil {
			failure = err
			return
		}
		uid = int(cred.Uid)
	})
	return uid, errors.Join(err, failure)
}
