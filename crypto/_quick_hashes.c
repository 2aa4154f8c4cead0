/* What crypto/plain_hashes.py says, with one call for many hashes: of the half microsecond that hashlib takes for a
 * node of a tree, the hash is a fifth. The hash itself is that of the OpenSSL on which hashlib stands. What is a
 * ValueError there is one here, in the same words; other types than bytes, and a list of them, are refused. Tests
 * compare the two.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64
#define HASH 32
#define KEY 32
#define ENTRY 64
#define PAIR 64
/* So much is hashed without the interpreter's lock: it takes some 20 us, and to get the lock again may take longer. */
#define LONG_BYTES 0x4000

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

/* The same for any bytes; returns what was expected of them, if they are not that. */
static const char *root_of_run(const unsigned char *entries, size_t bytes, unsigned char *digest)
{
    if (!bytes || bytes % ENTRY)
        return "expected one or more entries of 64 bytes";
    for (size_t at = ENTRY; at < bytes; at += ENTRY)
        if (memcmp(entries + at - ENTRY, entries + at, KEY) >= 0)
            return "keys are not in strictly ascending order";
    root(entries, (Py_ssize_t)(bytes / ENTRY), digest);
    return NULL;
}

static const char *hash_of_message(const unsigned char *message, size_t bytes, unsigned char *digest)
{
    hash(EMPTY, 0, message, bytes, digest);
    return NULL;
}

/* Hash a pair of which either half may be empty. */
static void join(const unsigned char *tag, size_t tag_bytes, const unsigned char *pair, unsigned char *to)
{
    if (!memcmp(pair, EMPTY, HASH))
        memcpy(to, pair + HASH, HASH);
    else if (!memcmp(pair + HASH, EMPTY, HASH))
        memcpy(to, pair, HASH);
    else
        hash(tag, tag_bytes, pair, PAIR, to);
}

static unsigned char *bytes_of(PyObject *data)
{
    return (unsigned char *)PyBytes_AS_STRING(data);
}

/* Let other threads run if there is much to hash. What is read and written meanwhile must be held, and be ours alone. */
static PyThreadState *others_may_run(size_t bytes)
{
    return bytes >= LONG_BYTES ? PyEval_SaveThread() : NULL;
}

static void wait_for_others(PyThreadState *saved)
{
    if (saved)
        PyEval_RestoreThread(saved);
}

/* A tuple of the bytes in a list, and how many they are in all. */
static PyObject *hold(PyObject *list, size_t *bytes)
{
    if (!PyList_CheckExact(list))
        return PyErr_Format(PyExc_TypeError, "expected a list of bytes");
    const Py_ssize_t count = PyList_GET_SIZE(list);
    PyObject *const held = PyTuple_New(count);
    /* A new tuple may start the collector, and what that runs may do anything; new bytes do not. */
    if (held && PyList_GET_SIZE(list) != count) {
        Py_DECREF(held);
        return PyErr_Format(PyExc_RuntimeError, "the list was changed while it was read");
    }
    for (Py_ssize_t at = 0; held && at < count; at++) {
        PyObject *const item = PyList_GET_ITEM(list, at);
        if (!PyBytes_CheckExact(item)) {
            Py_DECREF(held);
            return PyErr_Format(PyExc_TypeError, "expected a list of bytes");
        }
        *bytes += (size_t)PyBytes_GET_SIZE(item);
        PyTuple_SET_ITEM(held, at, Py_NewRef(item));
    }
    return held;
}

static PyObject *empty_digests(Py_ssize_t count)
{
    PyObject *const found = PyList_New(count);
    for (Py_ssize_t at = 0; found && at < count; at++) {
        PyObject *const digest = PyBytes_FromStringAndSize(NULL, HASH);
        if (!digest) {
            Py_DECREF(found);
            return NULL;
        }
        PyList_SET_ITEM(found, at, digest);
    }
    return found;
}

static PyObject *digest_each(PyObject *list, const char *(*digest)(const unsigned char *, size_t, unsigned char *))
{
    size_t bytes = 0;
    const char *refusal = NULL;
    PyObject *const held = hold(list, &bytes);
    PyObject *found = held ? empty_digests(PyTuple_GET_SIZE(held)) : NULL;
    if (found) {
        PyThreadState *const saved = others_may_run(bytes);
        for (Py_ssize_t at = 0; !refusal && at < PyTuple_GET_SIZE(held); at++) {
            PyObject *const item = PyTuple_GET_ITEM(held, at);
            refusal = digest(bytes_of(item), (size_t)PyBytes_GET_SIZE(item), bytes_of(PyList_GET_ITEM(found, at)));
        }
        wait_for_others(saved);
    }
    if (refusal) {
        PyErr_SetString(PyExc_ValueError, refusal);
        Py_CLEAR(found);
    }
    Py_XDECREF(held);
    return found;
}

static PyObject *hash_each(PyObject *Py_UNUSED(module), PyObject *messages)
{
    return digest_each(messages, hash_of_message);
}

static PyObject *roots_of_runs(PyObject *Py_UNUSED(module), PyObject *runs)
{
    return digest_each(runs, root_of_run);
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

    const unsigned char *const tag = bytes_of(arguments[0]), *const pairs = bytes_of(arguments[1]);
    unsigned char *const to = bytes_of(joined);
    PyThreadState *const saved = others_may_run((size_t)bytes);
    for (Py_ssize_t at = 0; at < bytes; at += PAIR)
        join(tag, tag_bytes, pairs + at, to + at / 2);
    wait_for_others(saved);
    return joined;
}

static int ascending(const void *first, const void *second)
{
    const size_t one = *(const size_t *)first, other = *(const size_t *)second;
    return (one > other) - (one < other);
}

/* Leave out of a sorted row what is there twice; return how many are left. */
static size_t unique(size_t *nodes, size_t count)
{
    size_t kept = 0;
    for (size_t at = 0; at < count; at++)
        if (!kept || nodes[at] != nodes[kept - 1])
            nodes[kept++] = nodes[at];
    return kept;
}

static int depth_of(size_t node)
{
    int depth = -1;
    for (; node; node >>= 1)
        depth++;
    return depth;
}

/* Hash what is above nodes of one depth, which is not below `stop`; return how many nodes there are. */
static size_t hash_above(unsigned char *cells, size_t *nodes, size_t count, int depth, int stop)
{
    unsigned char tag[2] = {1, 0};
    while (depth > stop) {
        tag[1] = (unsigned char)--depth;
        for (size_t at = 0; at < count; at++)
            nodes[at] >>= 1;
        count = unique(nodes, count);
        for (size_t at = 0; at < count; at++)
            join(tag, sizeof tag, cells + nodes[at] * PAIR, cells + nodes[at] * HASH);
    }
    return count;
}

static PyObject *list_of(const size_t *nodes, size_t count)
{
    PyObject *const found = PyList_New((Py_ssize_t)count);
    for (size_t at = 0; found && at < count; at++) {
        PyObject *const node = PyLong_FromSize_t(nodes[at]);
        if (!node) {
            Py_DECREF(found);
            return NULL;
        }
        PyList_SET_ITEM(found, (Py_ssize_t)at, node);
    }
    return found;
}

/* The nodes of a list in a sorted row, each once; NULL and an error where they are not, or not of one depth within the
 * cells. */
static size_t *row_of(PyObject *list, size_t cells, size_t *count)
{
    const Py_ssize_t size = PyList_GET_SIZE(list);
    size_t *const nodes = PyMem_RawMalloc((size_t)size * sizeof *nodes);
    if (!nodes)
        return (size_t *)PyErr_NoMemory();
    for (Py_ssize_t at = 0; at < size; at++) {
        PyObject *const node = PyList_GET_ITEM(list, at);
        if (!PyLong_CheckExact(node)) {
            PyMem_RawFree(nodes);
            return (size_t *)PyErr_Format(PyExc_TypeError, "expected a list of nodes");
        }
        nodes[at] = PyLong_AsSize_t(node);
        PyErr_Clear(); /* what is not a size is (size_t)-1, and not within the cells */
    }
    qsort(nodes, (size_t)size, sizeof *nodes, ascending);
    *count = unique(nodes, (size_t)size);
    if (*count) {
        const size_t first = nodes[0], last = nodes[*count - 1];
        if (!first || depth_of(first) != depth_of(last) || (last | 1) >= cells) {
            PyMem_RawFree(nodes);
            return (size_t *)PyErr_Format(PyExc_ValueError, "expected nodes of one depth, within the cells");
        }
    }
    return nodes;
}

static PyObject *rehash(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    Py_buffer cells;
    if (count != 3 || !PyList_CheckExact(arguments[1]) || !PyLong_CheckExact(arguments[2]))
        return PyErr_Format(PyExc_TypeError, "expected cells, a list of nodes, and a depth");
    int overflow;
    long stop = PyLong_AsLongAndOverflow(arguments[2], &overflow);
    if (overflow > 0)
        stop = LONG_MAX;
    if (stop < 0)
        return PyErr_Format(PyExc_ValueError, "expected a depth from 0 on");
    if (PyObject_GetBuffer(arguments[0], &cells, PyBUF_WRITABLE))
        return NULL;

    PyObject *found = NULL;
    size_t left = 0;
    size_t *const nodes = row_of(arguments[1], (size_t)cells.len / HASH, &left);
    if (nodes && left) {
        const int depth = depth_of(nodes[0]);
        PyThreadState *const saved = others_may_run(left * PAIR);
        left = hash_above(cells.buf, nodes, left, depth, (int)(stop < depth ? stop : depth));
        wait_for_others(saved);
    }
    if (nodes)
        found = list_of(nodes, left);
    PyMem_RawFree(nodes);
    PyBuffer_Release(&cells);
    return found;
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
    {"rehash", (PyCFunction)(void (*)(void))rehash, METH_FASTCALL, NULL},
    {"roots_of_runs", roots_of_runs, METH_O, NULL},
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
