// What Swift cannot see of OpenSSL: function-like macros, variadic functions, and the callbacks
// that run inside libssl. Everything here is `static inline`, so there is nothing to link.
#pragma once
// The low-level SHA-256 functions are deprecated in favour of EVP, but need no context on the heap
// and no provider look-up, which matters for a hash per key.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/bio.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// ---------------------------------------------------------------------------------------------
// One connection's input and output. The BIO reads straight from the memory that `input` points at
// and writes straight to `output`; what does not fit there goes to `overflow`, which grows, so that
// a write never fails half-way.

typedef struct prust_io {
    const uint8_t *input;
    size_t input_count;
    size_t input_position;

    uint8_t *output;
    size_t output_capacity;
    size_t output_count;

    uint8_t *overflow;
    size_t overflow_capacity;
    size_t overflow_count;

    // Set by the verify callback: the first failure and the certificate it is about.
    int verify_error;
    int verify_depth;
    int64_t verify_not_before;
    int64_t verify_not_after;
    // The URI that the peer's leaf certificate must carry, or NULL. Owned.
    char *expected_uri;
    // The newest session that the peer gave us (clients only), or NULL. Owned.
    SSL_SESSION *session;
} prust_io;

static inline int prust_bio_read(BIO *bio, char *bytes, size_t count, size_t *done) {
    prust_io *io = (prust_io *)BIO_get_data(bio);
    size_t left = io->input_count - io->input_position;
    size_t n = left < count ? left : count;
    if (n == 0) {
        BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
        BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
        *done = 0;
        return 0;
    }
    memcpy(bytes, io->input + io->input_position, n);
    io->input_position += n;
    *done = n;
    return 1;
}

static inline int prust_bio_write(BIO *bio, const char *bytes, size_t count, size_t *done) {
    prust_io *io = (prust_io *)BIO_get_data(bio);
    if (io->overflow_count == 0 && io->output_capacity - io->output_count >= count) {
        memcpy(io->output + io->output_count, bytes, count);
        io->output_count += count;
        *done = count;
        return 1;
    }
    if (io->overflow_capacity - io->overflow_count < count) {
        size_t capacity = io->overflow_capacity < 2048 ? 2048 : io->overflow_capacity;
        while (capacity - io->overflow_count < count) capacity *= 2;
        uint8_t *grown = (uint8_t *)realloc(io->overflow, capacity);
        if (grown == NULL) {
            *done = 0;
            return 0;
        }
        io->overflow = grown;
        io->overflow_capacity = capacity;
    }
    memcpy(io->overflow + io->overflow_count, bytes, count);
    io->overflow_count += count;
    *done = count;
    return 1;
}

static inline long prust_bio_ctrl(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static inline BIO_METHOD *prust_bio_method_new(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "prust");
    if (method == NULL) return NULL;
    BIO_meth_set_read_ex(method, prust_bio_read);
    BIO_meth_set_write_ex(method, prust_bio_write);
    BIO_meth_set_ctrl(method, prust_bio_ctrl);
    return method;
}

// Makes a connection whose BIO is `io`; `io` must outlive it.
static inline SSL *prust_ssl_new(SSL_CTX *context, const BIO_METHOD *method, prust_io *io) {
    SSL *ssl = SSL_new(context);
    if (ssl == NULL) return NULL;
    BIO *bio = BIO_new(method);
    if (bio == NULL) {
        SSL_free(ssl);
        return NULL;
    }
    BIO_set_data(bio, io);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_ex_data(ssl, 0, io);
    return ssl;
}

static inline prust_io *prust_io_new(void) { return (prust_io *)calloc(1, sizeof(prust_io)); }

static inline void prust_io_free(prust_io *io) {
    if (io == NULL) return;
    free(io->overflow);
    free(io->expected_uri);
    SSL_SESSION_free(io->session);
    free(io);
}

static inline int prust_io_expect_uri(prust_io *io, const char *uri) {
    free(io->expected_uri);
    io->expected_uri = strdup(uri);
    return io->expected_uri != NULL;
}

// Forgets the bytes of `overflow`, and its memory when there is much of it.
static inline void prust_io_clear_overflow(prust_io *io) {
    io->overflow_count = 0;
    if (io->overflow_capacity > 8192) {
        free(io->overflow);
        io->overflow = NULL;
        io->overflow_capacity = 0;
    }
}

// An error that another use of the library left on this thread must not be taken for ours.
static inline void prust_clear_errors(void) {
    if (ERR_peek_error() != 0) ERR_clear_error();
}

// Decrypts until `capacity` is used up or the input is. Returns SSL_ERROR_NONE when there may be
// more for a larger `capacity`, else the reason why it stopped (SSL_ERROR_WANT_READ at the end of
// the input).
static inline int prust_ssl_read(
    SSL *ssl, prust_io *io, uint8_t *bytes, size_t capacity, size_t *count
) {
    size_t total = 0;
    int reason = SSL_ERROR_NONE;
    prust_clear_errors();
    while (total < capacity) {
        size_t n = 0;
        if (io->input_position == io->input_count && !SSL_has_pending(ssl)) {
            reason = SSL_ERROR_WANT_READ;
            break;
        }
        int result = SSL_read_ex(ssl, bytes + total, capacity - total, &n);
        if (result <= 0) {
            reason = SSL_get_error(ssl, result);
            break;
        }
        total += n;
    }
    *count = total;
    return reason;
}

// Encrypts all of `bytes`; returns SSL_ERROR_NONE or the reason why it could not.
static inline int prust_ssl_write(SSL *ssl, const uint8_t *bytes, size_t count) {
    size_t n = 0;
    prust_clear_errors();
    int result = SSL_write_ex(ssl, bytes, count, &n);
    return result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, result);
}

static inline int prust_ssl_handshake(SSL *ssl) {
    prust_clear_errors();
    int result = SSL_do_handshake(ssl);
    return result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl, result);
}

// ---------------------------------------------------------------------------------------------
// Contexts.

static inline int64_t prust_unix_time(const ASN1_TIME *time) {
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
    return (int64_t)timegm(&parts);
}

static inline size_t prust_san_count(const GENERAL_NAMES *names) {
    int n = sk_GENERAL_NAME_num(names);
    return n < 0 ? 0 : (size_t)n;
}

// The kind (GEN_URI, GEN_DNS, GEN_IPADD ...) and bytes of one name; bytes are NULL for other kinds.
static inline int prust_san_get(
    const GENERAL_NAMES *names, size_t index, const uint8_t **bytes, size_t *count
) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, (int)index);
    const ASN1_STRING *string = NULL;
    *bytes = NULL;
    *count = 0;
    if (name == NULL) return -1;
    switch (name->type) {
    case GEN_URI: string = name->d.uniformResourceIdentifier; break;
    case GEN_DNS: string = name->d.dNSName; break;
    case GEN_IPADD: string = name->d.iPAddress; break;
    default: return name->type;
    }
    *bytes = ASN1_STRING_get0_data(string);
    *count = (size_t)ASN1_STRING_length(string);
    return name->type;
}

static inline GENERAL_NAMES *prust_san_of(const X509 *certificate) {
    return (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

// Whether the only prustdb:// URI of the certificate is `uri`.
static inline int prust_has_only_uri(const X509 *certificate, const char *uri) {
    GENERAL_NAMES *names = prust_san_of(certificate);
    const char scheme[] = "prustdb:";
    size_t matches = 0, others = 0;
    for (size_t i = 0; i < prust_san_count(names); i++) {
        const uint8_t *bytes;
        size_t count;
        if (prust_san_get(names, i, &bytes, &count) != GEN_URI || bytes == NULL) continue;
        if (count == strlen(uri) && memcmp(bytes, uri, count) == 0) matches++;
        else if (count >= sizeof(scheme) - 1 && memcmp(bytes, scheme, sizeof(scheme) - 1) == 0)
            others++;
    }
    GENERAL_NAMES_free(names);
    return matches == 1 && others == 0;
}

// Keeps the first failure for the error message, and checks the identity that is expected.
static inline int prust_verify(int ok, X509_STORE_CTX *store) {
    SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    prust_io *io = ssl == NULL ? NULL : (prust_io *)SSL_get_ex_data(ssl, 0);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int depth = X509_STORE_CTX_get_error_depth(store);
    if (io == NULL) return 0;
    if (ok && depth == 0 && io->expected_uri != NULL
        && (certificate == NULL || !prust_has_only_uri(certificate, io->expected_uri))) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        ok = 0;
    }
    if (!ok && io->verify_error == X509_V_OK) {
        io->verify_error = X509_STORE_CTX_get_error(store);
        io->verify_depth = depth;
        if (certificate != NULL) {
            io->verify_not_before = prust_unix_time(X509_get0_notBefore(certificate));
            io->verify_not_after = prust_unix_time(X509_get0_notAfter(certificate));
        }
    }
    return ok;
}

static inline int prust_is_valid_now(const X509 *certificate) {
    return X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0
        && X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

// A ticket does not outlive the certificate in it: such a client makes a full handshake, which
// then tells it why it is refused.
static inline SSL_TICKET_RETURN prust_decrypt_ticket(
    SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t name_count,
    SSL_TICKET_STATUS status, void *argument
) {
    (void)ssl;
    (void)name;
    (void)name_count;
    (void)argument;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    X509 *peer = SSL_SESSION_get0_peer(session);
    if (peer != NULL && !prust_is_valid_now(peer)) return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static inline int prust_new_session(SSL *ssl, SSL_SESSION *session) {
    prust_io *io = (prust_io *)SSL_get_ex_data(ssl, 0);
    if (io == NULL) return 0;
    SSL_SESSION_free(io->session);
    io->session = session;
    return 1;
}

// The server's protocols in its order of preference, as length-prefixed strings.
typedef struct prust_protocols {
    size_t count;
    uint8_t bytes[];
} prust_protocols;

static inline prust_protocols *prust_protocols_new(const uint8_t *bytes, size_t count) {
    prust_protocols *list = (prust_protocols *)malloc(sizeof(prust_protocols) + count);
    if (list == NULL) return NULL;
    list->count = count;
    memcpy(list->bytes, bytes, count);
    return list;
}

static inline int prust_select_protocol(
    SSL *ssl, const unsigned char **out, unsigned char *out_count, const unsigned char *offered,
    unsigned int offered_count, void *argument
) {
    (void)ssl;
    prust_protocols *list = (prust_protocols *)argument;
    unsigned char *chosen = NULL;
    int result = SSL_select_next_proto(
        &chosen, out_count, list->bytes, (unsigned int)list->count, offered, offered_count);
    if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static inline int prust_ctx_configure(SSL_CTX *context, bool is_server) {
    static const unsigned char name[] = "prustdb";
    SSL_CTX_set_options(
        context,
        SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_options(context, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_mode(
        context,
        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1) return 0;
    if (SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) != 1) return 0;
    if (SSL_CTX_set_ciphersuites(
            context,
            "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") != 1)
        return 0;
    if (SSL_CTX_set1_groups_list(context, "X25519:P-256") != 1) return 0;
    if (SSL_CTX_set_session_id_context(context, name, sizeof(name) - 1) != 1) return 0;
    if (is_server) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(context, 1);
        SSL_CTX_set_session_ticket_cb(context, NULL, prust_decrypt_ticket, NULL);
    } else {
        SSL_CTX_set_session_cache_mode(
            context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, prust_new_session);
    }
    return 1;
}

static inline void prust_ctx_set_verify(SSL_CTX *context, int mode) {
    SSL_CTX_set_verify(context, mode, prust_verify);
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
}

static inline int prust_ctx_add_chain(SSL_CTX *context, X509 *certificate) {
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int prust_ssl_set_host(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, (char *)(uintptr_t)name);
}

static inline bool prust_ssl_is_resumed(const SSL *ssl) { return SSL_session_reused(ssl) == 1; }

static inline X509 *prust_ssl_get0_peer(const SSL *ssl) {
    return SSL_get0_peer_certificate(ssl);
}

static inline int prust_error_reason(unsigned long error) { return ERR_GET_REASON(error); }
static inline int prust_error_library(unsigned long error) { return ERR_GET_LIB(error); }

// ---------------------------------------------------------------------------------------------
// Certificates and keys.

static inline BIO *prust_memory_bio(const uint8_t *bytes, size_t count) {
    return count > INT_MAX ? NULL : BIO_new_mem_buf(bytes, (int)count);
}

static inline size_t prust_bio_contents(BIO *bio, const uint8_t **bytes) {
    char *start = NULL;
    long count = BIO_get_mem_data(bio, &start);
    *bytes = (const uint8_t *)start;
    return count < 0 ? 0 : (size_t)count;
}

// Without this, an encrypted key would make OpenSSL ask for a password on the terminal.
static inline int prust_no_password(char *bytes, int count, int is_writing, void *argument) {
    (void)bytes;
    (void)count;
    (void)is_writing;
    (void)argument;
    return -1;
}

static inline EVP_PKEY *prust_pem_read_key(BIO *bio) {
    return PEM_read_bio_PrivateKey(bio, NULL, prust_no_password, NULL);
}

static inline X509 *prust_pem_read_certificate(BIO *bio) {
    return PEM_read_bio_X509(bio, NULL, prust_no_password, NULL);
}

static inline X509_REQ *prust_pem_read_request(BIO *bio) {
    return PEM_read_bio_X509_REQ(bio, NULL, prust_no_password, NULL);
}

static inline int prust_pem_write_key(BIO *bio, EVP_PKEY *key) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
}

static inline EVP_PKEY *prust_generate_ec(const char *curve) {
    return EVP_EC_gen(curve);
}

static inline EVP_PKEY *prust_generate_ed25519(void) {
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static inline int prust_set_common_name(X509_NAME *name, const uint8_t *bytes, int count) {
    return X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, bytes, count, -1, 0);
}

// Adds an extension written in OpenSSL's notation; only for constant text of ours.
static inline int prust_add_extension(X509 *certificate, X509 *issuer, int nid, const char *text) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, text);
    if (extension == NULL) return 0;
    int result = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return result;
}

static inline int prust_san_add(GENERAL_NAMES *names, int kind, const uint8_t *bytes, int count) {
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *string = kind == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    if (name == NULL || string == NULL || ASN1_STRING_set(string, bytes, count) != 1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(string);
        return 0;
    }
    GENERAL_NAME_set0_value(name, kind, string);
    if (sk_GENERAL_NAME_push(names, name) <= 0) {
        GENERAL_NAME_free(name);
        return 0;
    }
    return 1;
}

static inline GENERAL_NAMES *prust_san_new(void) { return sk_GENERAL_NAME_new_null(); }

static inline int prust_set_san(X509 *certificate, GENERAL_NAMES *names) {
    return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT);
}

// The subject or issuer in the notation of RFC 2253.
static inline int prust_name_print(BIO *bio, const X509_NAME *name) {
    return X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
}

// The first common name in UTF-8; returns the count of bytes, or -1 when there is none that fits.
static inline int prust_common_name(const X509_NAME *name, uint8_t *bytes, int capacity) {
    int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    X509_NAME_ENTRY *entry = index < 0 ? NULL : X509_NAME_get_entry(name, index);
    unsigned char *text = NULL;
    int count = -1;
    if (entry != NULL) count = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
    if (count > capacity) count = -1;
    if (count > 0) memcpy(bytes, text, (size_t)count);
    OPENSSL_free(text);
    return count;
}

// Checks the certificate against `store` at `now`; returns X509_V_OK or the reason.
static inline int prust_verify_chain(
    X509_STORE *store, X509 *leaf, STACK_OF(X509) *untrusted, int64_t now, int *depth
) {
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int result = X509_V_ERR_OUT_OF_MEM;
    *depth = 0;
    if (context != NULL && X509_STORE_CTX_init(context, store, leaf, untrusted) == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
        X509_VERIFY_PARAM_set_time(param, (time_t)now);
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
        if (X509_verify_cert(context) == 1) {
            result = X509_V_OK;
        } else {
            result = X509_STORE_CTX_get_error(context);
            *depth = X509_STORE_CTX_get_error_depth(context);
            if (result == X509_V_OK) result = X509_V_ERR_UNSPECIFIED;
        }
    }
    X509_STORE_CTX_free(context);
    return result;
}

static inline OPENSSL_STACK *prust_stack_new(void) { return OPENSSL_sk_new_null(); }
static inline int prust_stack_push(OPENSSL_STACK *stack, X509 *certificate) {
    return OPENSSL_sk_push(stack, certificate);
}
static inline int prust_verify_chain_of(
    X509_STORE *store, X509 *leaf, OPENSSL_STACK *untrusted, int64_t now, int *depth
) {
    return prust_verify_chain(store, leaf, (STACK_OF(X509) *)untrusted, now, depth);
}

// ---------------------------------------------------------------------------------------------
// Digests.

static inline void prust_sha256(const uint8_t *bytes, size_t count, uint8_t digest[32]) {
    SHA256_CTX context;
    SHA256_Init(&context);
    SHA256_Update(&context, bytes, count);
    SHA256_Final(digest, &context);
}

// The digest as four big-endian words.
static inline void prust_sha256_words(const uint8_t *bytes, size_t count, uint64_t words[4]) {
    uint8_t digest[32];
    prust_sha256(bytes, count, digest);
    for (int i = 0; i < 4; i++) {
        uint64_t word;
        memcpy(&word, digest + 8 * i, 8);
        words[i] = __builtin_bswap64(word);
    }
}
