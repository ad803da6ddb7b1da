package daemon

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
)

// certificate is the daemon's certificate, which is read again when its files
// change. It is safe for concurrent use, but for refresh.
type certificate struct {
	certFile, keyFile string
	certPEM, keyPEM   []byte // as they were last read
	now               atomic.Pointer[tls.Certificate]
}

// openCertificate reads a certificate and its key. The error is [ErrTLS].
func openCertificate(certFile, keyFile string) (*certificate, error) {
	if certFile == "" || keyFile == "" {
		return nil, fmt.Errorf("%w: --tls-cert and --tls-key go together", ErrTLS)
	}
	c := &certificate{certFile: certFile, keyFile: keyFile}
	_, err := c.load()
	return c, err
}

// load reads the files and reports whether they hold something else than before.
func (c *certificate) load() (news bool, err error) {
	certPEM, errCert := os.ReadFile(c.certFile)
	keyPEM, errKey := os.ReadFile(c.keyFile)
	if err := errors.Join(errCert, errKey); err != nil {
		return false, fmt.Errorf("%w: %w", ErrTLS, err)
	}
	if bytes.Equal(certPEM, c.certPEM) && bytes.Equal(keyPEM, c.keyPEM) {
		return false, nil
	}
	c.certPEM, c.keyPEM = certPEM, keyPEM
	cert, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return false, fmt.Errorf("%w: %s and %s: %w", ErrTLS, c.certFile, c.keyFile, err)
	}
	c.now.Store(&cert)
	return true, nil
}

// refresh takes another certificate once both files belong together, and reports
// whether there is one.
func (c *certificate) refresh(log *slog.Logger) bool {
	news, err := c.load()
	if err != nil {
		log.Warn("the certificate cannot be read, the one before stays", "code", "certificate", "err", err)
	}
	return news
}

// config is for the listener. Only HTTP/1.1 can become WebSocket.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil },
	}
}

// leaf returns the certificate without its chain, in PEM.
func (c *certificate) leaf() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.now.Load().Certificate[0]})
}
