// A Vault server for tests: in-memory storage, only the engines the proxy talks to.
//
// It prints one JSON line, {"address","root_token","unseal_key"}, when it answers, and ends on SIGTERM, SIGINT or, with -end-with-stdin,
// when its standard input is closed (so it never outlives the test that started it).
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	log "github.com/hashicorp/go-hclog"
	credJWT "github.com/hashicorp/vault-plugin-auth-jwt"
	credKube "github.com/hashicorp/vault-plugin-auth-kubernetes"
	logicalKv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/audit"
	credAppRole "github.com/hashicorp/vault/builtin/credential/approle"
	credCert "github.com/hashicorp/vault/builtin/credential/cert"
	credUserpass "github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/database"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/plugins/database/postgresql"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

type registry struct{}

func (registry) Contains(name string, t consts.PluginType) bool {
	return t == consts.PluginTypeDatabase && name == "postgresql-database-plugin"
}

func (r registry) Get(name string, t consts.PluginType) (func() (interface{}, error), bool) {
	if r.Contains(name, t) {
		return postgresql.New, true
	}
	return nil, false
}

func (registry) Keys(t consts.PluginType) []string {
	if t == consts.PluginTypeDatabase {
		return []string{"postgresql-database-plugin"}
	}
	return nil
}

func (registry) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}
func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
	return v
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	tlsCert := flag.String("tls-cert", "", "PEM certificate file; with it the server speaks TLS and asks for client certificates")
	tlsKey := flag.String("tls-key", "", "PEM key file")
	endWithStdin := flag.Bool("end-with-stdin", false, "end when standard input is closed")
	defaultTTL := flag.Duration("default-ttl", 768*time.Hour, "default lease and token duration")
	maxTTL := flag.Duration("max-ttl", 768*time.Hour, "longest lease and token duration")
	flag.Parse()

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, os.Interrupt)
	if *endWithStdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop <- syscall.SIGTERM
		}()
	}

	logger := log.New(&log.LoggerOptions{Name: "vault", Level: log.LevelFromString(os.Getenv("VAULT_LOG_LEVEL"))})
	core := newCore(logger, *defaultTTL, *maxTTL)
	rootToken, unsealKey := unseal(core)
	listener := must(net.Listen("tcp", *listen))
	address := listener.Addr().String()
	if *tlsCert != "" {
		pair := must(tls.LoadX509KeyPair(*tlsCert, *tlsKey))
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert})
	}
	server := &http.Server{
		Handler: vaulthttp.Handler.Handler(&vault.HandlerProperties{
			Core: core, ListenerConfig: &configutil.Listener{Address: address},
		}),
		ReadHeaderTimeout: time.Minute,
	}
	fmt.Printf("{\"address\":%q,\"root_token\":%q,\"unseal_key\":%q}\n", address, rootToken, unsealKey)
	go func() {
		fmt.Fprintln(os.Stderr, "vault:", server.Serve(listener))
		os.Exit(1)
	}()
	<-stop
}

func newCore(logger log.Logger, defaultTTL, maxTTL time.Duration) *vault.Core {
	return must(vault.NewCore(&vault.CoreConfig{
		Physical:        must(inmem.NewInmem(nil, logger)),
		BuiltinRegistry: registry{},
		LogicalBackends: map[string]logical.Factory{"kv": logicalKv.Factory, "database": database.Factory},
		CredentialBackends: map[string]logical.Factory{
			"approle": credAppRole.Factory, "cert": credCert.Factory, "jwt": credJWT.Factory,
			"kubernetes": credKube.Factory, "userpass": credUserpass.Factory,
		},
		AuditBackends:      map[string]audit.Factory{},
		DisableMlock:       true,
		Logger:             logger,
		SecureRandomReader: rand.Reader,
		DefaultLeaseTTL:    defaultTTL,
		MaxLeaseTTL:        maxTTL,
	}))
}

// unseal initialises the core with one key share, unseals it and answers the root token and the share in hex.
func unseal(core *vault.Core) (string, string) {
	result := must(core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{},
	}))
	share := result.SecretShares[0]
	must(core.Unseal(share))
	return result.RootToken, hex.EncodeToString(share)
}
