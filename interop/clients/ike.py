"""The IKE of one client of each family, for what speaks IKE alone; `CLIENTS` has all the others."""

from interop.clients import CLIENTS

PROFILES = {
    name: CLIENTS[name].ike.profile
    for name in ("iphone", "ios-2011", "windows-10", "android", "strongswan")
}

IPHONE = PROFILES["iphone"]
IOS_2011 = PROFILES["ios-2011"]
WINDOWS_10 = PROFILES["windows-10"]
ANDROID = PROFILES["android"]
STRONGSWAN = PROFILES["strongswan"]
