// Command vault is Vault's own core (MPL-2.0, v1.13.1) with just the parts that Imagint uses: the transit secrets
// engine, the kubernetes auth method, file storage and the file audit device.
//
// It is for development. It has no HA, no UI, no plugins, no config file; whoever starts it initialises and unseals it
// through the ordinary HTTP API. Users of Imagint bring their own Vault (1.13 or newer) or OpenBao.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	kubeauth "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/audit"
	auditfile "github.com/hashicorp/vault/builtin/audit/file"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	storagefile "github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

const drainLimit = 5 * time.Second

type settings struct {
	listen, storage, logLevel, tlsCert, tlsKey string
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "127.0.0.1:8200", "address to serve on")
	flag.StringVar(&s.storage, "storage", "", "folder that holds the (encrypted) data")
	flag.StringVar(&s.logLevel, "log-level", "warn", "trace, debug, info, warn or error")
	flag.StringVar(&s.tlsCert, "tls-cert", "", "PEM certificate; plain HTTP without it")
	flag.StringVar(&s.tlsKey, "tls-key", "", "PEM key of that certificate")
	flag.Parse()
	if err := s.check(); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		flag.Usage()
		os.Exit(2)
	}
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func (s settings) check() error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if s.storage == "" {
		return errors.New("-storage is needed")
	}
	if (s.tlsCert == "") != (s.tlsKey == "") {
		return errors.New("-tls-cert and -tls-key go together")
	}
	if hclog.LevelFromString(s.logLevel) == hclog.NoLevel {
		return fmt.Errorf("unknown log level %q", s.logLevel)
	}
	return nil
}

// run serves until SIGTERM or SIGINT, then lets requests in flight end, seals the core and returns.
func run(s settings) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.LevelFromString(s.logLevel), Output: os.Stderr})
	core, err := newCore(s.storage, log)
	if err != nil {
		return err
	}
	listener, err := listen(s)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core:           core,
			ListenerConfig: &configutil.Listener{Address: s.listen, TLSDisable: s.tlsCert == ""},
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		ErrorLog:          log.StandardLogger(nil),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
		drain, cancel := context.WithTimeout(context.Background(), drainLimit)
		defer cancel()
		_ = server.Shutdown(drain) // what has not ended by then is cut off
		err = nil
	}
	return errors.Join(err, core.Shutdown())
}

func newCore(storage string, log hclog.Logger) (*vault.Core, error) {
	if err := os.MkdirAll(storage, 0o700); err != nil {
		return nil, err
	}
	backend, err := storagefile.NewFileBackend(map[string]string{"path": storage}, log.Named("storage"))
	if err != nil {
		return nil, err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           backend,
		StorageType:        "file",
		DisableMlock:       true, // locking memory needs a right that an ordinary user lacks; core dumps are off instead
		Logger:             log,
		LogicalBackends:    map[string]logical.Factory{"transit": transit.Factory},
		CredentialBackends: map[string]logical.Factory{"kubernetes": kubeauth.Factory},
		AuditBackends:      map[string]audit.Factory{"file": auditfile.Factory},
		BuiltinRegistry:    builtins{},
		ClusterName:        "imagint-dev",
		DefaultLeaseTTL:    time.Hour,
		MaxLeaseTTL:        24 * time.Hour,
	})
	if err != nil && vault.IsFatalError(err) {
		return nil, err
	}
	return core, nil
}

func listen(s settings) (net.Listener, error) {
	listener, err := net.Listen("tcp", s.listen)
	if err != nil || s.tlsCert == "" {
		return listener, err
	}
	pair, err := tls.LoadX509KeyPair(s.tlsCert, s.tlsKey)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
	}), nil
}

// builtins tells the core which plugins are compiled in.
type builtins struct{}

var plugins = map[consts.PluginType]map[string]logical.Factory{
	consts.PluginTypeSecrets:    {"transit": transit.Factory},
	consts.PluginTypeCredential: {"kubernetes": kubeauth.Factory},
}

func (builtins) Contains(name string, kind consts.PluginType) bool {
	_, ok := plugins[kind][name]
	return ok
}

func (builtins) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	factory, ok := plugins[kind][name]
	return func() (interface{}, error) { return factory, nil }, ok
}

func (builtins) Keys(kind consts.PluginType) []string {
	var names []string
	for name := range plugins[kind] {
		names = append(names, name)
	}
	return names
}

func (builtins) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}

func (builtins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
