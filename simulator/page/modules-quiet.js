// Modules that nothing of the simulated flow uses. wa-js wraps or reads their functions when it attaches and fills
// the console with complaints when they are missing; with them, what is on the console is worth reading.

import { define, live } from './registry.js';
import { me } from './session.js';

const nothing = () => undefined;

function defineStubs(id, names) {
  define(id, Object.fromEntries(names.split(' ').map((name) => [name, (..._) => nothing()])));
}

// By module: the functions that wa-js wraps. They encode messages, media, calls, labels, votes and groups.
const WRAPPED = {
  WAWebABProps: 'getABPropConfigValue',
  WAWebVoipGatingUtils:
    'isCallingEnabled isUnsupportedBrowserForWebCalling getUnsupportedBrowserReason isVoipDownloadEnabled',
  WAWebLabelCollectionUtils: 'addToLabelCollection removeLabelFromCollection',
  WAWebPollsVotesDb: 'upsertVotes',
  WAWebReactionsUtils: 'addOrUpdateReactionsModelCollection',
  WAWebMinimalLinkPreview: 'genMinimalLinkPreview',
  WAWebE2EProtoGenerator: 'createMsgProtobuf',
  WAWebBackendJobsCommon: 'encodeMaybeMediaType mediaTypeFromProtobuf',
  WAWebE2EProtoUtils: 'typeAttributeFromProtobuf',
  WAWebSendMsgCreateFanoutStanza: 'createFanoutMsgStanza',
  WAWebGenerateVideoThumbsAndDuration: 'generateVideoThumbsAndDuration',
  WAWebProcessRawSticker: 'processRawSticker',
  WAWebMediaMmsV4Upload: 'uploadMedia',
  WAWebChatSearchFilter: 'isFilterExcludedFromSearchTreatmentInInboxFlow',
  WAWebMsgUnread: 'isUnreadTypeMsg',
  WAWebCreateChatRecord: 'createChatRecord',
  WAWebPinnedChats: 'getNumChatsPinned',
  WAWebUpdateDbForGroupAction: 'updateDBForGroupAction',
  WAWebEncryptAndSendMsg: 'encryptAndSendMsg',
  WAWebPrimaryFeatures: 'primaryFeatureEnabled',
  WAWebHandleSingleMsg: 'handleSingleMsg',
};

// By module: the getters that wa-js puts on chats and contacts.
const GETTERS = {
  WAWebChatListGetters:
    'getShouldAppearInList getPreviewMessage getShowChangeNumberNotification getShouldShowUnreadDivider',
  WAWebChatUnreadGetters: 'getHasUnread',
  WAWebContactGetters:
    'getNotifyName getPremiumMessageName getIsPSA getIsIAS getIsSupportAccount getIsWAContact getName getShortName ' +
    'getPushname getVerifiedName getVerifiedLevel getStatusMute getIsEnterprise getCanRequestPhoneNumber ' +
    'getShowBusinessCheckmarkAsPrimary getShowBusinessCheckmarkAsSecondary getShowBusinessCheckmarkInChatlist ' +
    'getIsDisplayNameApproved getShouldForceBusinessUpdate getUserhash',
  WAWebFrontendContactNames:
    'getPhoneNumber getTextStatusString getPnForLid getDisplayName getDisplayNameOrPnForLid getFormattedPhone ' +
    'getFormattedUsernameOrPhone getFormattedShortNameWithNonBreakingSpaces getFormattedShortName getFormattedName ' +
    'getFormattedUser getSearchName',
  WAWebFrontendContactGetters: 'getIsMyContact getMentionName',
  WAWebContactSearchGetters: 'getSearchVerifiedName getHeader',
};

export function defineQuietModules() {
  for (const [id, names] of Object.entries({ ...WRAPPED, ...GETTERS })) defineStubs(id, names);
  const contacts = live('WAWebContactGetters');
  contacts.getUserid = (contact) => contact.id?.user;
  contacts.getIsMe = (contact) => Boolean(me.wid?.equals(contact.id));
  contacts.getIsUser = (contact) => Boolean(contact.id?.isUser());
  contacts.getIsGroup = (contact) => Boolean(contact.id?.isGroup());
  define('WAWebLidMigration', {
    Lid1X1MigrationUtils: {
      isLidMigrated: () => false,
      isSyncdSessionMigrated: () => false,
      shouldApplyNonMigratedMessagingRules: () => false,
    },
  });
  define('WAWebLidMigrationUtils', { toPn: (wid) => wid });
  define('WAWebLidPnCache', { lidPnCache: { getCurrentLid: nothing, getPhoneNumber: nothing } });
  define('WAWebApiContact', { getCurrentLid: nothing, getAlternateUserWid: nothing, getPhoneNumber: nothing });
  define('WAWebChatSearchQuery', { SearchQuery: class SearchQuery { updateLabelQuery() {} } });
}
