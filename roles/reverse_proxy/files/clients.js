// Who asks: the name of the client whose key a request carries, or an empty text.
// A key's SHA-256 is the name of a file that holds the client's name (tasks/clients.yml), so that a key comes and goes
// without a reload, which would close connections. The disk and nginx never see a key, and the time that a look for a file
// takes tells nothing of it: whoever guesses chooses the key, and not its hash.
import crypto from 'crypto';
import fs from 'fs';

const FOLDER = '/etc/nginx/clients/';
// As the action client_key makes them: 256 random bits in base64url.
const KEY = /^mh_[A-Za-z0-9_-]{43}$/;
const AUTHORIZATION = /^(Bearer|Basic) +(\S+) *$/i;

function given(headers) {
    const found = AUTHORIZATION.exec(headers.Authorization || '');
    if (!found) {
        return headers['X-API-Key'] || '';
    }
    if (found[1].toLowerCase() === 'bearer') {
        return found[2];
    }
    // A browser asks for a name and a password, and the key is the password.
    const decoded = Buffer.from(found[2], 'base64').toString();
    return decoded.slice(decoded.indexOf(':') + 1);
}

function name(request) {
    const key = given(request.headersIn);
    if (!KEY.test(key)) {
        return '';
    }
    try {
        return fs.readFileSync(FOLDER + crypto.createHash('sha256').update(key).digest('hex'), 'utf8');
    } catch (error) {
        return '';
    }
}

// Why no client was found: of the request's form alone, and the same of a key that never was and of one that was taken away.
function problem(request) {
    const headers = request.headersIn;
    const key = given(headers);
    if (headers.Authorization && !AUTHORIZATION.test(headers.Authorization) && !headers['X-API-Key']) {
        return 'The header Authorization has another form than it needs. Send it as Authorization: Bearer <key>, or send X-API-Key: <key>.';
    }
    if (KEY.test(key)) {
        return 'This key is not known here, or not any more. Ask for another, and send it as Authorization: Bearer <key> or X-API-Key: <key>.';
    }
    if (key) {
        return 'What was sent is no key: one begins with mh_ and has 46 characters. Send it as Authorization: Bearer <key> or X-API-Key: <key>.';
    }
    return 'A key is needed here. Send it as a header, Authorization: Bearer <key> or X-API-Key: <key>.';
}

export default {name, problem};
