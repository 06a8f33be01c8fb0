# shellcheck shell=sh
# Remove a vendor's Python settings, which would affect the SDK's; sourced by sdk.sh. The image's ENV does the same
# (sdk/image.py).

unset PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV || true
for name in $(env | sed -n 's/^\(PIP_[A-Za-z0-9_]*\)=.*/\1/p'); do
    case ${name#PIP_} in
    # Sources of packages and the connection to them, and what the vendor's own pip needs to install at all. Any other
    # setting may break an installation, and each release of pip adds more of them.
    CERT | CLIENT_CERT | DEFAULT_TIMEOUT | EXTRA_INDEX_URL | FIND_LINKS | INDEX_URL | KEYRING_PROVIDER | PROXY) ;;
    RETRIES | TIMEOUT | TRUSTED_HOST | BREAK_SYSTEM_PACKAGES) ;;
    *) unset "$name" ;;
    esac
done
