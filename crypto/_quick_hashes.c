/* What crypto/plain_hashes.py says, with one call for many hashes: of the half microsecond that hashlib takes for a
 * node of a tree, the hash is a fifth. The hash itself is that of the OpenSSL on which hashlib stands. What is a
 * ValueError there is one here, in the same words; other types than bytes, and a list of them, are refused. Tests
 * compare the two.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 64
#define HASH 32
#define KEY 32
#define ENTRY 64
#define PAIR 64

/* OpenSSL's SHA256_CTX: the eight words of the state, then what it needs to cut messages into blocks: done here. */
typedef struct {
    uint32_t words[8];
    uint32_t unused[20];
} Context;

static void (*transform)(Context *, const unsigned char *block);

static const uint32_t START[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};
static const unsigned char EMPTY[HASH];

/* Hash a tag of at most two bytes and what follows it. */
static void hash(const unsigned char *tag, size_t tag_bytes, const unsigned char *data, size_t bytes,
                 unsigned char *digest)
{
    Context context;
    unsigned char block[2 * BLOCK];
    const uint64_t bits = 8 * (uint64_t)(tag_bytes + bytes);
    size_t filled = tag_bytes;

    memcpy(context.words, START, sizeof START);
    memcpy(block, tag, tag_bytes);
    if (tag_bytes && tag_bytes + bytes >= BLOCK) {
        memcpy(block + tag_bytes, data, BLOCK - tag_bytes);
        transform(&context, block);
        data += BLOCK - tag_bytes;
        bytes -= BLOCK - tag_bytes;
        filled = 0;
    }
    for (; filled + bytes >= BLOCK; data += BLOCK, bytes -= BLOCK)
        transform(&context, data);
    memcpy(block + filled, data, bytes);
    filled += bytes;

    const size_t end = filled + 9 <= BLOCK ? BLOCK : 2 * BLOCK;
    block[filled] = 0x80;
    memset(block + filled + 1, 0, end - filled - 1);
    for (size_t byte = 0; byte < 8; byte++)
        block[end - 1 - byte] = (unsigned char)(bits >> 8 * byte);
    for (size_t at = 0; at < end; at += BLOCK)
        transform(&context, block + at);
    for (int at = 0; at < HASH; at++)
        digest[at] = (unsigned char)(context.words[at / 4] >> (24 - at % 4 * 8));
}

/* Root of entries whose keys ascend strictly, hence of at most 256 branches one below the other. */
static void root(const unsigned char *entries, Py_ssize_t count, unsigned char *digest)
{
    const unsigned char *const last = entries + (count - 1) * ENTRY;
    unsigned char halves[PAIR], tag[2] = {1, 0};
    int byte = 0, bit = 0;

    if (count == 1) {
        hash(EMPTY, 1, entries, ENTRY, digest);
        return;
    }
    while (entries[byte] == last[byte])
        byte++;
    while (!((entries[byte] ^ last[byte]) & 0x80 >> bit))
        bit++;
    /* The last one has the bit set: the first one that has is among those behind the first entry. */
    Py_ssize_t low = 1, high = count - 1;
    while (low < high) {
        const Py_ssize_t middle = low + (high - low) / 2;
        if (entries[middle * ENTRY + byte] & 0x80 >> bit)
            high = middle;
        else
            low = middle + 1;
    }
    root(entries, low, halves);
    root(entries + low * ENTRY, count - low, halves + HASH);
    tag[1] = (unsigned char)(8 * byte + bit);
    hash(tag, sizeof tag, halves, PAIR, digest);
}

static int ascends_strictly(const unsigned char *entries, Py_ssize_t count)
{
    for (Py_ssize_t at = 1; at < count; at++)
        if (memcmp(entries + (at - 1) * ENTRY, entries + at * ENTRY, KEY) >= 0)
            return 0;
    return 1;
}

static unsigned char *bytes_of(PyObject *data)
{
    return (unsigned char *)PyBytes_AS_STRING(data);
}

static PyObject *hash_each(PyObject *Py_UNUSED(module), PyObject *messages)
{
    if (!PyList_CheckExact(messages))
        return PyErr_Format(PyExc_TypeError, "expected a list of bytes");
    const Py_ssize_t count = PyList_GET_SIZE(messages);
    PyObject *const found = PyList_New(count);
    /* A new list may start the collector, and what that runs may do anything; new bytes do not. */
    if (found && PyList_GET_SIZE(messages) != count) {
        Py_DECREF(found);
        return PyErr_Format(PyExc_RuntimeError, "the list was changed while it was read");
    }

    for (Py_ssize_t at = 0; found && at < count; at++) {
        PyObject *const message = PyList_GET_ITEM(messages, at);
        PyObject *const digest = PyBytes_CheckExact(message)
                                     ? PyBytes_FromStringAndSize(NULL, HASH)
                                     : PyErr_Format(PyExc_TypeError, "expected a list of bytes");
        if (!digest) {
            Py_DECREF(found);
            return NULL;
        }
        hash(EMPTY, 0, bytes_of(message), (size_t)PyBytes_GET_SIZE(message), bytes_of(digest));
        PyList_SET_ITEM(found, at, digest);
    }
    return found;
}

static PyObject *join_pairs(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_CheckExact(arguments[0]) || !PyBytes_CheckExact(arguments[1]))
        return PyErr_Format(PyExc_TypeError, "expected a tag and a row of hashes");
    const size_t tag_bytes = (size_t)PyBytes_GET_SIZE(arguments[0]);
    const Py_ssize_t bytes = PyBytes_GET_SIZE(arguments[1]);
    if (tag_bytes > 2 || bytes % PAIR)
        return PyErr_Format(PyExc_ValueError, "expected a tag of at most two bytes and pairs of hashes");
    PyObject *const joined = PyBytes_FromStringAndSize(NULL, bytes / 2);
    if (!joined)
        return NULL;

    const unsigned char *pair = bytes_of(arguments[1]), *const end = pair + bytes;
    unsigned char *to = bytes_of(joined);
    for (; pair < end; pair += PAIR, to += HASH) {
        if (!memcmp(pair, EMPTY, HASH))
            memcpy(to, pair + HASH, HASH);
        else if (!memcmp(pair + HASH, EMPTY, HASH))
            memcpy(to, pair, HASH);
        else
            hash(bytes_of(arguments[0]), tag_bytes, pair, PAIR, to);
    }
    return joined;
}

static PyObject *root_of_entries(PyObject *Py_UNUSED(module), PyObject *entries)
{
    if (!PyBytes_CheckExact(entries))
        return PyErr_Format(PyExc_TypeError, "expected entries");
    const Py_ssize_t bytes = PyBytes_GET_SIZE(entries);
    unsigned char digest[HASH];
    if (!bytes || bytes % ENTRY)
        return PyErr_Format(PyExc_ValueError, "expected one or more entries of 64 bytes");
    if (!ascends_strictly(bytes_of(entries), bytes / ENTRY))
        return PyErr_Format(PyExc_ValueError, "keys are not in strictly ascending order");
    root(bytes_of(entries), bytes / ENTRY, digest);
    return PyBytes_FromStringAndSize((const char *)digest, HASH);
}

/* Find OpenSSL where hashlib has it. */
static int find_transform(void)
{
    PyObject *const hashlib = PyImport_ImportModule("_hashlib");
    PyObject *const file = hashlib ? PyObject_GetAttrString(hashlib, "__file__") : NULL;
    const char *const path = file ? PyUnicode_AsUTF8(file) : NULL;
    void *const library = path ? dlopen(path, RTLD_NOW) : NULL;
    if (library)
        *(void **)&transform = dlsym(library, "SHA256_Transform");
    Py_XDECREF(file);
    Py_XDECREF(hashlib);
    return transform != NULL;
}

/* Hash an example of FIPS 180, three blocks with its padding: is what was found what it should be? */
static int hashes_as_published(void)
{
    static const unsigned char message[] =
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
        "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
    static const unsigned char published[HASH] = {
        0xcf, 0x5b, 0x16, 0xa7, 0x78, 0xaf, 0x83, 0x80, 0x03, 0x6c, 0xe5, 0x9e, 0x7b, 0x04, 0x92, 0x37,
        0x0b, 0x24, 0x9b, 0x11, 0xe8, 0xf0, 0x7a, 0x51, 0xaf, 0xac, 0x45, 0x03, 0x7a, 0xfe, 0xe9, 0xd1,
    };
    unsigned char digest[HASH];
    hash(message, 2, message + 2, sizeof message - 3, digest);
    return !memcmp(digest, published, HASH);
}

static PyMethodDef FUNCTIONS[] = {
    {"hash_each", hash_each, METH_O, NULL},
    {"join_pairs", (PyCFunction)(void (*)(void))join_pairs, METH_FASTCALL, NULL},
    {"root_of_entries", root_of_entries, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_quick_hashes", .m_size = -1, .m_methods = FUNCTIONS,
};

PyMODINIT_FUNC PyInit__quick_hashes(void)
{
    if (!find_transform() || !hashes_as_published()) {
        PyErr_Clear();
        return PyErr_Format(PyExc_ImportError, "hashlib does not stand on an OpenSSL with SHA256_Transform");
    }
    return PyModule_Create(&MODULE);
}
